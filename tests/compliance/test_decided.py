"""Staff's programs read why a transaction was decided as it was; to everybody else there is nothing to read."""

from pathlib import Path

import pytest

from compliance.models import Screening
from tests.compliance.lists.test_matches import decide, in_force
from tests.compliance.people import staff, user_of
from tests.compliance.test_destinations import PAYEE, paid_to
from tests.support.factories import api_client, make_account

pytestmark = pytest.mark.django_db


def test_staff_see_rule_by_rule_and_hit_by_hit_what_was_decided(tmp_path: Path) -> None:
    in_force(tmp_path, PAYEE)
    account = make_account(funded=10_000)
    stopped = paid_to(account, PAYEE)
    decide(stopped.case, "approve")
    path = f"/api/v1/screenings/{stopped.transaction_id}"
    auditor = api_client(user_of(staff("Auditor")))
    told = auditor.get(path).json()
    assert (told["status"], told["decided_by"], told["rules"]) == ("approved", "officer", 1)
    (finding,) = told["findings"]
    assert (finding["rule"], finding["version"], finding["action"]) == ("destination_on_a_list", 1, "review")
    assert finding["explanation"] == stopped.reason
    assert told["facts"]["destination_score"] == told["matches"][0]["score"] >= told["matches"][0]["threshold"]
    assert told["matches"][0]["list"] == "The list"
    assert told["matches"][0]["explanation"]["aligned"]
    # The second person's word is a row of its own.
    assert [(each["verdict"], each["agreed"]) for each in told["decisions"]] == [("approve", None), ("approve", True)]
    assert told["decisions"][0]["maker"] == told["decisions"][1]["maker"] != told["decisions"][1]["checker"]


def test_to_a_customer_and_to_who_has_no_such_role_there_is_no_screening(tmp_path: Path) -> None:
    account = make_account(funded=10_000)
    screened: Screening = paid_to(account, "Ada Byron")
    path = f"/api/v1/screenings/{screened.transaction_id}"
    without_role = user_of(staff("Auditor"))
    without_role.groups.clear()
    nowhere = "/api/v1/screenings/01990000-0000-7000-8000-000000000001"
    answers = [
        api_client(account.customer).get(path),
        api_client(without_role).get(path),
        api_client(user_of(staff("Auditor"))).get(nowhere),
    ]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(404, "screening_not_found")] * 3
    assert len({answer.json()["detail"] for answer in answers}) == 1
    assert api_client().get(path).status_code == 401
