"""A customer keeps bank accounts that he pays money out to."""

from functools import partial
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from accounts import selectors
from accounts.models import Beneficiary, Customer, IdempotencyClaim, StateChange
from accounts.services.beneficiaries import add_beneficiary
from tests.compliance.people import at_once
from tests.support.factories import actor_of, api_client, keyed, make_customer, make_user
from wallet_project.utils.iban import IbanInvalid, normalised_iban

pytestmark = pytest.mark.django_db

URL = "/api/v1/beneficiaries"
IBAN, OTHER = "DE89370400440532013000", "FR1420041010050500013M02606"
BODY = {"iban": IBAN, "holder": "Ada Lovelace", "label": "Ada"}
NOBODYS = "01980000-0000-7000-8000-000000000001"


def add(customer: Customer, iban: str = IBAN, **changes: Any) -> Beneficiary:
    values = {"holder": "Ada Lovelace", "label": "", "key": uuid4().hex, "request_hash": bytes(32), **changes}
    return add_beneficiary(actor=actor_of(customer), iban=iban, **values).beneficiary


def test_a_beneficiary_is_kept_and_shown() -> None:
    customer = make_customer()
    client = api_client(customer)
    answer = client.post(URL, {**BODY, "iban": "de89 3704 0044 0532 0130 00"}, headers=keyed())
    assert answer.status_code == 201
    made = answer.json()
    assert made == {**BODY, "id": made["id"], "created_at": made["created_at"]}
    assert client.get(f"{URL}/{made['id']}").json() == made
    assert client.get(URL).json() == {"results": [made], "next": None}
    [born] = StateChange.objects.filter(subject_id=made["id"])
    assert (born.machine, born.from_state, born.to_state, born.actor_id) == (
        "beneficiary", "", "kept", customer.user.principal.id,
    )  # fmt: skip


def test_a_customer_needs_no_verified_identity_to_keep_one() -> None:
    client = api_client(make_customer(verified=False, profile=None))
    assert client.post(URL, {"iban": IBAN, "holder": "Ada"}, headers=keyed()).json()["label"] == ""


def test_the_same_request_with_the_same_key_is_answered_as_before() -> None:
    client, key = api_client(make_customer()), keyed()
    first = client.post(URL, BODY, headers=key)
    again = client.post(URL, {**BODY, "iban": "DE89 3704 0044 0532 0130 00"}, headers=key)
    assert (again.status_code, again.json(), again["Idempotent-Replayed"]) == (201, first.json(), "true")
    assert "Idempotent-Replayed" not in first
    client.delete(f"{URL}/{first.json()['id']}")
    assert client.post(URL, BODY, headers=key).json() == first.json(), "it is not added a second time"
    assert Beneficiary.objects.count() == 1


def test_another_request_with_the_same_key_is_refused() -> None:
    client, key = api_client(make_customer()), keyed()
    client.post(URL, BODY, headers=key)
    refused = client.post(URL, {**BODY, "iban": OTHER}, headers=key)
    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")


def test_while_the_first_request_is_in_flight_the_second_hears_409(app_connection: Any) -> None:
    customer = make_customer()
    insert = (
        "INSERT INTO accounts_idempotencyclaim (principal_id, key, operation, request_hash, result_id) "
        "VALUES (%s, 'held', 'add_beneficiary', %s, gen_random_uuid())"
    )
    with app_connection.transaction():
        app_connection.execute(insert, [customer.user.principal.id, bytes(32)])
        answer = api_client(customer).post(URL, BODY, headers={"Idempotency-Key": "held"})
    assert (answer.status_code, answer.json()["code"]) == (409, "request_in_progress")


def test_an_iban_is_kept_once_and_again_after_it_was_removed() -> None:
    client = api_client(make_customer())
    first, key = client.post(URL, BODY, headers=keyed()).json()["id"], keyed()
    refused = client.post(URL, {**BODY, "holder": "Somebody else"}, headers=key)
    assert (refused.status_code, refused.json()["code"]) == (409, "beneficiary_kept")
    assert refused.json()["beneficiary"] == first
    assert client.delete(f"{URL}/{first}").status_code == 204
    anew = client.post(URL, {**BODY, "holder": "Somebody else"}, headers=key)
    assert anew.status_code == 201, "a refusal leaves the key free"
    assert anew.json()["id"] != first


def test_two_customers_may_keep_the_same_iban() -> None:
    assert add(make_customer()).id != add(make_customer()).id


def test_the_label_may_change_and_nothing_else() -> None:
    client = api_client(make_customer())
    url = f"{URL}/{client.post(URL, BODY, headers=keyed()).json()['id']}"
    answer = client.patch(url, {"label": " Rent "})
    assert (answer.status_code, answer.json()["label"]) == (200, "Rent")
    assert client.get(url).json() == answer.json()
    assert client.patch(url, {"label": ""}).json()["label"] == ""
    assert client.patch(url, {}).json()["label"] == "", "what is not said is left as it is"
    for body in ({"label": None}, {"label": "x" * 61}, {"label": "a\tb"}, {"iban": OTHER, "label": "x"}, []):
        assert client.patch(url, body).status_code == 400, body


def test_a_removed_beneficiary_is_gone_for_its_customer_and_stays_on_record() -> None:
    customer = make_customer()
    client, kept = api_client(customer), add(customer)
    url = f"{URL}/{kept.id}"
    assert (client.delete(url).status_code, client.delete(url).status_code) == (204, 204)
    for answer in (client.get(url), client.patch(url, {"label": "x"})):
        assert (answer.status_code, answer.json()["code"]) == (404, "beneficiary_not_found")
    assert client.get(URL).json()["results"] == []
    kept.refresh_from_db()
    assert kept.status == "removed"
    assert kept.removed_at is not None
    changes = StateChange.objects.filter(subject_id=kept.id).order_by("id").values_list("to_state", flat=True)
    assert list(changes) == ["kept", "removed"], "removed twice is removed once"
    with pytest.raises(selectors.BeneficiaryNotFound):
        selectors.beneficiary_of(customer.id, kept.id)


@pytest.mark.parametrize("method", ["get", "patch", "delete"])
def test_somebody_elses_beneficiary_is_not_there(method: str) -> None:
    theirs = add(make_customer())
    client = api_client(make_customer())
    for each in (theirs.id, NOBODYS):
        answer = getattr(client, method)(f"{URL}/{each}", {"label": "x"} if method == "patch" else None)
        assert (answer.status_code, answer.json()["code"]) == (404, "beneficiary_not_found")
    assert Beneficiary.objects.filter(id=theirs.id, removed_at=None, label="").exists()
    with pytest.raises(selectors.BeneficiaryNotFound):
        selectors.beneficiary_of(make_customer().id, theirs.id)


@pytest.mark.parametrize(
    "changes",
    [
        {"iban": "DE88370400440532013000"},
        {"iban": "DE8937040044053201300"},
        {"iban": "XX89370400440532013000"},
        {"iban": ""},
        {"iban": "x" * 5000},
        {"iban": 8937040044053201300},
        {"iban": None},
        {"iban": "DE8937040044053201300\u0663"},
        {"iban": "DE89\t3704"},
        {"iban": ["DE89370400440532013000"]},
        {"holder": ""},
        {"holder": "x" * 141},
        {"holder": "Ada\u202eecalevoL"},
        {"label": "x" * 61},
        {"label": None},
        {"status": "removed"},
        {"customer": NOBODYS},
    ],
)
def test_a_body_that_is_not_understood_is_refused(changes: dict[str, Any]) -> None:
    customer = make_customer()
    answer = api_client(customer).post(URL, {**BODY, **changes}, headers=keyed())
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")
    assert [fault["field"] for fault in answer.json()["errors"]] == list(changes)
    assert not Beneficiary.objects.exists()
    assert not IdempotencyClaim.objects.filter(principal=customer.user.principal).exists()


@pytest.mark.parametrize("missing", ["iban", "holder"])
def test_iban_and_holder_are_required(missing: str) -> None:
    body = {name: value for name, value in BODY.items() if name != missing}
    assert api_client(make_customer()).post(URL, body, headers=keyed()).status_code == 400


def test_a_key_is_required() -> None:
    client = api_client(make_customer())
    assert client.post(URL, BODY).json()["code"] == "idempotency_key_required"
    assert client.post(URL, BODY, headers={"Idempotency-Key": "a b"}).json()["code"] == "idempotency_key_invalid"


def test_staff_keep_none() -> None:
    client = api_client(make_user(is_staff=True))
    for answer in (
        client.get(URL),
        client.post(URL, BODY, headers=keyed()),
        client.get(f"{URL}/{NOBODYS}"),
        client.patch(f"{URL}/{NOBODYS}", {"label": "x"}),
        client.delete(f"{URL}/{NOBODYS}"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "not_a_customer")


@pytest.mark.parametrize("method", ["get", "post"])
def test_nobody_is_told_to_log_in(method: str) -> None:
    answer = getattr(api_client(), method)(URL)
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")


def test_a_customer_may_keep_so_many(settings: Any) -> None:
    settings.BENEFICIARIES_PER_CUSTOMER = 1
    customer = make_customer()
    client, kept = api_client(customer), add(customer)
    refused = client.post(URL, {**BODY, "iban": OTHER}, headers=keyed())
    assert (refused.status_code, refused.json()["code"], refused.json()["limit"]) == (422, "too_many_beneficiaries", 1)
    client.delete(f"{URL}/{kept.id}")
    assert client.post(URL, {**BODY, "iban": OTHER}, headers=keyed()).status_code == 201
    assert client.get("/api/v1/me").json()["limits"]["beneficiaries"] == 1


def test_too_many_calls_are_slowed_down(monkeypatch: pytest.MonkeyPatch) -> None:
    from rest_framework.settings import api_settings

    monkeypatch.setitem(api_settings.DEFAULT_THROTTLE_RATES, "beneficiaries", "2/hour")
    client = api_client(make_customer())
    assert [client.get(URL).status_code for _ in range(3)] == [200, 200, 429]
    assert client.get("/api/v1/me").status_code == 200


def test_a_service_call_checks_the_iban_too() -> None:
    with pytest.raises(IbanInvalid):
        add(make_customer(), "DE88370400440532013000")


def test_only_ascii_makes_an_iban() -> None:
    """`upper` makes an S of a long s, and digits of other scripts are digits to Python."""
    assert normalised_iban(" gb82 west 1234 5698 7654 32 ") == "GB82WEST12345698765432"
    for text in ("GB82WE\u017fT12345698765432", "DE8937040044053201300\u0660", f"{IBAN}\n", "", " ", "DE"):
        with pytest.raises(IbanInvalid):
            normalised_iban(text)


def test_twenty_at_once_keep_an_iban_once() -> None:
    customer = make_customer()
    clients = [api_client(customer) for _ in range(20)]
    answers = at_once(*[partial(client.post, URL, BODY, headers=keyed()) for client in clients])
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19
    [kept] = Beneficiary.objects.filter(customer=customer)
    assert {answer.json()["beneficiary"] for answer in answers if answer.status_code == 409} == {str(kept.id)}


def test_twenty_at_once_with_one_key_keep_one() -> None:
    customer, key = make_customer(), keyed()
    clients = [api_client(customer) for _ in range(20)]
    answers = at_once(*[partial(client.post, URL, BODY, headers=key) for client in clients])
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert Beneficiary.objects.count() == 1


def test_many_at_once_keep_the_limit(settings: Any) -> None:
    settings.BENEFICIARIES_PER_CUSTOMER = 2
    customer = make_customer()
    ibans = [f"NO{check}{number}" for check, number in NORWEGIAN]
    clients = [api_client(customer) for _ in ibans]
    calls = [
        partial(client.post, URL, {**BODY, "iban": iban}, headers=keyed())
        for client, iban in zip(clients, ibans, strict=True)
    ]
    assert sorted(answer.status_code for answer in at_once(*calls)) == [201, 201, 422, 422, 422, 422]


def _norwegian(number: str) -> tuple[str, str]:
    # N is 23 and O is 24 (ISO 13616).
    return f"{98 - int(f'{number}232400') % 97:02}", number


NORWEGIAN = [_norwegian(f"860111179{number:02}") for number in range(6)]


def test_removing_and_labelling_at_once_leave_a_row_that_is_right() -> None:
    customer = make_customer()
    kept = add(customer)
    one, other = api_client(customer), api_client(customer)
    url = f"{URL}/{kept.id}"
    removed, labelled = at_once(partial(one.delete, url), partial(other.patch, url, {"label": "x"}))
    assert removed.status_code == 204
    assert labelled.status_code in (200, 404)
    kept.refresh_from_db()
    assert kept.status == "removed"


def test_pages_are_served_by_an_index_and_cost_one_query(django_assert_num_queries: Any) -> None:
    customer = make_customer()
    made = [str(add(customer, iban).id) for iban in (IBAN, OTHER, "GB82WEST12345698765432")]
    client = api_client(customer)
    client.get(URL)
    with django_assert_num_queries(1):
        first = client.get(URL, {"limit": 2}).json()
    assert [row["id"] for row in first["results"]] == [made[2], made[1]]
    last = client.get(first["next"]).json()
    assert ([row["id"] for row in last["results"]], last["next"]) == ([made[0]], None)
    with django_assert_num_queries(1):
        client.get(f"{URL}/{made[0]}")
    # Between BEGIN and COMMIT: the claim, the customer, those that are kept, the row, its birth.
    with django_assert_num_queries(7):
        assert client.post(URL, {**BODY, "iban": "NO9386011117947"}, headers=keyed()).status_code == 201
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        cursor.execute(
            "EXPLAIN SELECT * FROM accounts_beneficiary WHERE customer_id = %s AND removed_at IS NULL "
            "ORDER BY id DESC LIMIT 51",
            [customer.id],
        )
        assert "beneficiary_by_customer" in "\n".join(line for (line,) in cursor.fetchall())


@pytest.mark.parametrize(
    "change",
    [
        "iban = 'FR1420041010050500013M02606'",
        "holder = 'Mallory'",
        "customer_id = gen_random_uuid()",
        "id = gen_random_uuid()",
        "created_at = now()",
    ],
)
def test_what_was_kept_does_not_change(
    owner_connection: "psycopg.Connection[Any]", app_connection: "psycopg.Connection[Any]", change: str
) -> None:
    add(make_customer())
    with pytest.raises(psycopg.errors.CheckViolation, match="keeps its IBAN and holder"):
        owner_connection.execute(f"UPDATE accounts_beneficiary SET {change}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        app_connection.execute(f"UPDATE accounts_beneficiary SET {change}")


@pytest.mark.parametrize("change", ["label = 'x'", "removed_at = now()", "status = 'kept', removed_at = NULL"])
def test_what_was_removed_stays_as_it_was(owner_connection: "psycopg.Connection[Any]", change: str) -> None:
    customer = make_customer()
    kept = add(customer)
    api_client(customer).delete(f"{URL}/{kept.id}")
    with pytest.raises(psycopg.errors.CheckViolation):
        owner_connection.execute(f"UPDATE accounts_beneficiary SET {change}")


def test_the_database_refuses_what_would_be_wrong(
    owner_connection: "psycopg.Connection[Any]", app_connection: "psycopg.Connection[Any]"
) -> None:
    customer = make_customer()
    add(customer)
    insert = (
        "INSERT INTO accounts_beneficiary (id, customer_id, iban, holder, label, status, removed_at) "
        "VALUES (gen_random_uuid(), %s, %s, 'Ada', '', %s, {})"
    )
    with pytest.raises(psycopg.errors.UniqueViolation, match="beneficiary_kept_once"):
        app_connection.execute(insert.format("NULL"), [customer.id, IBAN, "kept"])
    with pytest.raises(psycopg.errors.CheckViolation, match="beneficiary_iban_has_its_form"):
        app_connection.execute(insert.format("NULL"), [customer.id, "DE89 3704 0044 0532 0130 00", "kept"])
    with pytest.raises(psycopg.errors.CheckViolation, match="may not go from"):
        app_connection.execute(insert.format("now()"), [customer.id, OTHER, "removed"])
    with pytest.raises(psycopg.errors.CheckViolation, match="beneficiary_removed_at_a_time"):
        app_connection.execute(insert.format("now()"), [customer.id, OTHER, "kept"])
    with pytest.raises(psycopg.errors.CheckViolation, match="beneficiary_removed_at_a_time"):
        app_connection.execute("UPDATE accounts_beneficiary SET status = 'removed'")
    for connection, error in (
        (owner_connection, psycopg.errors.CheckViolation),
        (app_connection, psycopg.errors.InsufficientPrivilege),
    ):
        for statement in ("DELETE FROM accounts_beneficiary", "TRUNCATE accounts_beneficiary"):
            with pytest.raises(error):
                connection.execute(statement)
