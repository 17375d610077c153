"""Freezing, unfreezing, and checking an identity again: by those who may, with a reason, through the service."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from accounts.models import Account, StateChange
from accounts.services.accounts import FROZEN_NOTICE
from accounts.services.beneficiaries import add_beneficiary, remove_beneficiary
from accounts.services.handles import claim_handle
from accounts.states import AccountStatus, KycStatus
from tests.admin.house import House, action_url, come_in
from tests.admin.test_cases import said
from tests.support.factories import actor_of, reject
from wallet_project.utils.admin.panels import panels_for

Login = Callable[[str], Client]


@pytest.mark.parametrize("role", ["Officer", "Senior officer"])
def test_officers_freeze_and_unfreeze_with_a_reason(house: House, login: Login, role: str) -> None:
    client, account = login(role), house.account
    assert "0.00 EUR" in client.get(action_url(account, "freeze")).content.decode()
    assert client.post(action_url(account, "freeze"), {"reason": ""}).status_code == 200
    account.refresh_from_db()
    assert account.status == AccountStatus.OPEN
    client.post(action_url(account, "freeze"), {"reason": "police request 17"})
    account.refresh_from_db()
    assert (account.status, account.status_reason) == (AccountStatus.FROZEN, FROZEN_NOTICE)
    change = StateChange.objects.filter(subject_id=account.id).latest("id")
    assert change.reason == "police request 17"
    assert change.request_id
    assert "Freeze:" in said(client.post(action_url(account, "freeze"), {"reason": "again"}))
    client.post(action_url(account, "unfreeze"), {"reason": "settled"})
    account.refresh_from_db()
    assert account.status == AccountStatus.OPEN


@pytest.mark.parametrize("role", ["Auditor", "Administrator"])
def test_others_can_neither_freeze_nor_have_an_identity_checked_again(house: House, login: Login, role: str) -> None:
    client = login(role)
    for row, action in ((house.account, "freeze"), (house.account, "unfreeze"), (house.ada, "restart-verification")):
        assert "/do/" not in client.get(f"/admin/{row._meta.app_label}/{row._meta.model_name}/{row.pk}/change/").text
        assert client.get(action_url(row, action)).status_code == 403
        assert client.post(action_url(row, action), {"reason": "because"}).status_code == 403
    house.account.refresh_from_db()
    assert house.account.status == AccountStatus.OPEN


def test_nobody_frees_himself(house: House) -> None:
    """However it came that a customer is a member of staff, too."""
    user = house.ada.user
    user.is_staff = True
    user.save()
    user.groups.add(Group.objects.get(name="Senior officer"))
    client = come_in(Client(), user)
    for row, action in ((house.account, "freeze"), (house.account, "unfreeze"), (house.ada, "restart-verification")):
        assert "yourself" in said(client.post(action_url(row, action), {"reason": "because"}))
    for case in (house.held_case, house.escalation_case):
        assert "yourself" in said(client.post(action_url(case, "take")))
    house.account.refresh_from_db()
    assert house.account.status == AccountStatus.OPEN


def test_nobody_lets_money_through_to_himself(house: House) -> None:
    user = house.receiver.customer.user
    user.is_staff = True
    user.save()
    user.groups.add(Group.objects.get(name="Senior officer"))
    assert "yourself" in said(come_in(Client(), user).post(action_url(house.held_case, "take")))


def test_the_wallet_s_own_accounts_are_not_frozen(house: House, login: Login) -> None:
    client, settlement = login("Superuser"), Account.objects.get(purpose="settlement", currency="EUR")
    assert "/do/freeze/" not in client.get(f"/admin/accounts/account/{settlement.id}/change/").text
    assert "Freeze:" in said(client.post(action_url(settlement, "freeze"), {"reason": "because"}))
    settlement.refresh_from_db()
    assert settlement.status == AccountStatus.OPEN


def test_who_was_rejected_can_be_checked_again_by_an_officer(house: House, login: Login) -> None:
    reject(house.ada)
    login("Officer").post(action_url(house.ada, "restart-verification"), {"reason": "sent a better document"})
    house.ada.refresh_from_db()
    assert house.ada.kyc_status == KycStatus.PENDING


def test_a_customer_shows_whom_he_pays_out_to_and_by_what_name_he_is_found(house: House, login: Login) -> None:
    actor = actor_of(house.ada)
    for handle in ("ada.before", "ada"):
        claim_handle(actor=actor, handle=handle, now=timezone.now())
    kept, removed = (
        add_beneficiary(actor=actor, iban=iban, holder=holder, key=holder, request_hash=bytes(32)).beneficiary
        for iban, holder in (("DE89370400440532013000", "Charles <B>"), ("GB82WEST12345698765432", "Mary Somerville"))
    )
    remove_beneficiary(actor=actor, beneficiary_id=removed.id)
    client = login("Auditor")
    html = client.get(f"/admin/accounts/customer/{house.ada.id}/change/").text
    for expected in ("@ada.before", "@ada<", "given up", kept.iban, removed.iban, "Charles &lt;B&gt;", "removed"):
        assert expected in html, expected
    assert "No beneficiary has been added." in client.get(f"/admin/accounts/customer/{house.mary.id}/change/").text


def test_a_customer_is_found_by_a_handle_that_he_has_or_had(house: House, login: Login) -> None:
    for handle in ("ada.before", "ada"):
        claim_handle(actor=actor_of(house.ada), handle=handle, now=timezone.now())
    client, page = login("Officer"), f"/admin/accounts/customer/{house.ada.id}/change/"
    for term in ("ada", "@Ada", "ada.before"):
        assert page in client.get("/admin/accounts/customer/", {"q": term}).text
    assert page not in client.get("/admin/accounts/customer/", {"q": "adam"}).text


def test_an_account_shows_what_the_ledger_and_compliance_know_of_it(house: House, login: Login) -> None:
    html = login("Officer").get(f"/admin/accounts/account/{house.account.id}/change/").text
    for expected in ("99,980.00 EUR", "12,000.00 EUR", "Pending transactions", "Last entries", "Cases of the customer"):
        assert expected in html, expected
    assert str(house.held.id) in html
    assert str(house.cleared.id) in html


def test_a_transaction_shows_its_screening_case_entries_and_history(house: House, login: Login) -> None:
    html = login("Auditor").get(f"/admin/ledger/transaction/{house.held.id}/change/").text
    for expected in ("single amount", "Facts", str(house.held_case.id), "History"):
        assert expected in html, expected
    html = login("Auditor").get(f"/admin/ledger/transaction/{house.cleared.id}/change/").text
    assert "Balance after it" in html
    assert "99,980.00 EUR" in html


def test_a_panel_is_shown_to_those_who_may_see_its_subject(house: House, staff: Callable[[str], object]) -> None:
    class Request:
        user = staff("Officer")

    titles = [panel.title for panel in panels_for(Request, house.held)]  # type: ignore[arg-type]
    assert titles.index("Case") < titles.index("Screening") < titles.index("Entries") < titles.index("History")
    Request.user.groups.clear()  # type: ignore[attr-defined]
    Request.user = type(Request.user).objects.get(pk=Request.user.pk)  # type: ignore[attr-defined]
    assert panels_for(Request, house.held) == []  # type: ignore[arg-type]
