"""The page of a self-audit: what was found, and the button that has the books audited now."""

from collections.abc import Callable

from django.test import Client

from compliance.models import SelfAudit
from tests.admin.house import House


def test_it_says_what_was_found(house: House, login: Callable[[str], Client]) -> None:
    page = login("Officer").get(f"/admin/compliance/selfaudit/{SelfAudit.objects.get().id}/change/").content.decode()
    assert "balances sum to zero" in page
    assert "problem they do not, currency EUR" in page


def test_auditors_ask_for_another_with_a_button(
    house: House, login: Callable[[str], Client], nudges: list[str]
) -> None:
    url = f"/admin/compliance/selfaudit/{SelfAudit.objects.get().id}/do/again/"
    assert login("Officer").get(url).status_code == 403
    assert login("Officer").post(url).status_code == 403
    auditor = login("Auditor")
    assert auditor.get(url).status_code == 200
    assert "compliance.self_audit" not in nudges
    assert auditor.post(url).status_code == 302
    assert "compliance.self_audit" in nudges
