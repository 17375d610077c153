"""What staff propose and answer over the admin, as a browser would send it: who may, what is shown, what is refused."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.models import Account, User
from accounts.staff import staff_actor
from compliance.models import Case
from ledger.models import Adjustment, Escalation, Limit, LimitChange, Transaction
from ledger.services import proposals
from tests.admin.house import House, action_url, take
from tests.admin.test_cases import said
from tests.ledger import flows
from tests.ledger.test_escalations import freeze
from tests.ledger.test_suspense import money_of_nobody, paid_out_otherwise
from tests.support.factories import make_account
from tests.support.pipeline import run_until_idle
from wallet_project.sandbox.embedding import RunningSandbox, fresh_config, running_sandbox

Login = Callable[[str], Client]
Staff = Callable[[str], User]


@pytest.fixture
def sandbox(tmp_path: Any, settings: Any) -> Any:
    with running_sandbox(fresh_config(tmp_path / "sandbox")) as running:
        for name, value in running.wallet_settings().items():
            setattr(settings, name, value)
        yield running


def standing(house: House) -> Adjustment:
    return Adjustment.objects.get(about=house.cleared)


def change_page(row: Any) -> str:
    return f"/admin/{row._meta.app_label}/{row._meta.model_name}/{row.pk}/change/"


def correction(house: House, **changes: str) -> dict[str, str]:
    values = {"direction": "out", "other": str(house.receiver.id), "amount": "1,000.50", "reason": "booked twice"}
    return values | changes


# --- Proposals ------------------------------------------------------------------------------------------------------


def test_a_correction_is_proposed_on_the_account_and_agreed_to_on_its_page(house: House, login: Login) -> None:
    officer, senior = login("Officer"), login("Senior officer")
    shown = officer.get(action_url(house.account, "correct"))
    assert shown.status_code == 200
    assert "a second person has to agree" in shown.text
    assert Adjustment.objects.count() == 1
    assert "Proposed" in said(officer.post(action_url(house.account, "correct"), correction(house)))
    row = Adjustment.objects.latest("id")
    assert (row.amount, row.debit_account, row.credit_account) == (100_050, house.account, house.receiver)
    assert "/do/agree/" not in officer.get(change_page(row)).text
    page = senior.get(change_page(row)).text
    assert "1,000.50 EUR move from Ada Lovelace to Ada Lovelace at once" in page
    assert senior.get(action_url(row, "agree")).status_code == 200
    row.refresh_from_db()
    assert row.status == "proposed", "a GET changes nothing"
    assert "Agreed and posted" in said(senior.post(action_url(row, "agree"), {"note": "I have seen the letter"}))
    row.refresh_from_db()
    assert (row.status, row.transaction is not None) == ("posted", True)
    assert flows.balances(house.receiver)[0] == 2_000 + 100_050


@pytest.mark.parametrize(
    ("field", "value", "said_there"),
    [
        ("amount", "1.234", "at most 2 digits"),
        ("amount", "١٢", "at most 2 digits"),
        ("amount", "-5", "at most 2 digits"),
        ("amount", "99999999999999", "more than one transaction"),
        ("other", "nobody@example.com", "There is no such account"),
        ("other", "Ada", "An account&#x27;s id"),
        ("reason", "", "This field is required"),
    ],
)
def test_what_can_not_be_read_is_said_beside_its_field(
    house: House, login: Login, field: str, value: str, said_there: str
) -> None:
    answer = login("Officer").post(action_url(house.account, "correct"), correction(house, **{field: value}))
    assert answer.status_code == 200
    assert said_there in answer.text
    assert Adjustment.objects.count() == 1


def test_accounts_are_named_by_word_address_and_id(house: House, login: Login) -> None:
    client, receiver = login("Officer"), house.receiver
    for other in ("fees", receiver.customer.user.email, str(receiver.id)):
        client.post(action_url(house.account, "correct"), correction(house, other=other, direction="in"))
    debits = Adjustment.objects.filter(kind="correction").order_by("id").values_list("debit_account", flat=True)
    assert list(debits) == [Account.objects.get(purpose="fees", currency="EUR").id, receiver.id, receiver.id]
    make_account(receiver.customer)
    answer = client.post(action_url(house.account, "correct"), correction(house, other=receiver.customer.user.email))
    assert "has several accounts" in answer.text


def test_the_ledger_s_refusals_become_sentences(house: House, login: Login) -> None:
    officer, senior = login("Officer"), login("Senior officer")
    told = said(officer.post(action_url(house.account, "correct"), correction(house, other="settlement")))
    assert "the bank's statement" in told
    assert "more than what was cleared" in said(
        officer.post(action_url(house.cleared, "reverse"), {"amount": "20.01", "reason": "x"})
    )
    assert "The receiver has the money" in said(
        officer.post(action_url(house.cleared, "reverse-at-loss"), {"reason": "x"})
    )
    freeze(house.receiver)
    assert "is not open, so nothing was posted" in said(senior.post(action_url(standing(house), "agree"), {}))
    assert standing(house).status == "proposed"


def test_a_transaction_shows_its_reversals_and_when_its_hold_ends(house: House, login: Login) -> None:
    senior = login("Senior officer")
    senior.post(action_url(standing(house), "agree"), {})
    reversal = Transaction.objects.get(reverses=house.cleared)
    page = senior.get(change_page(house.cleared)).text
    assert "Reversals and adjustments" in page
    assert str(reversal.id) in page
    assert str(house.cleared.id) in senior.get(change_page(reversal)).text
    held = flows.transfer(house.account, house.receiver, 700, expires_in=3_600)
    flows.approve(held)
    page = senior.get(f"/admin/ledger/transaction/{held.id}/change/").text
    assert "its payee&#x27;s capture" in page
    assert "Held until" in page


def test_the_list_and_the_menu_say_what_waits(house: House, login: Login) -> None:
    senior = login("Senior officer")
    listed = senior.get("/admin/ledger/adjustment/").text
    for client, waits in ((senior, "1"), (login("Auditor"), "")):
        line = client.get("/admin/").text.partition('href="/admin/ledger/adjustment/"')[2].partition("</a>")[0]
        assert line.split("Adjustments")[1].replace("</span>", "").strip().endswith(waits)
        assert "None" not in line
    assert "5.00 EUR" in listed
    assert str(standing(house).id)[-8:] in listed
    assert str(standing(house).id) in senior.get("/admin/ledger/adjustment/", {"q": str(house.cleared.id)}).text


def test_a_proposal_is_declined_and_withdrawn_with_a_reason(house: House, login: Login, staff: Staff) -> None:
    officer, senior = login("Officer"), login("Senior officer")
    row = standing(house)
    assert senior.post(action_url(row, "decline"), {"reason": ""}).status_code == 200
    assert "Somebody else proposed this" in said(officer.post(action_url(row, "withdraw"), {"reason": "no"}))
    senior.post(action_url(row, "decline"), {"reason": "the rent was right"})
    row.refresh_from_db()
    assert (row.status, row.checker) == ("declined", staff("Senior officer").principal)
    mine = proposals.propose_reversal(
        actor=staff_actor(staff("Officer")), transaction_id=house.cleared.id, amount=None, reason="all of it"
    )
    assert "/do/withdraw/" in officer.get(change_page(mine)).text
    officer.post(action_url(mine, "withdraw"), {"reason": "a mistake"})
    mine.refresh_from_db()
    assert mine.status == "withdrawn"
    assert "answered before" in said(senior.post(action_url(mine, "agree"), {}))


# --- Who may --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["Officer", "Auditor", "Administrator"])
def test_who_may_not_agree_gets_no_button_and_no_way_round_it(house: House, login: Login, role: str) -> None:
    client, row = login(role), standing(house)
    assert "/do/agree/" not in client.get(change_page(row)).text
    for action in ("agree", "decline"):
        assert client.get(action_url(row, action)).status_code == 403
        assert client.post(action_url(row, action), {"note": "", "reason": "x"}).status_code == 403
    row.refresh_from_db()
    assert row.status == "proposed"


@pytest.mark.parametrize("role", ["Auditor", "Administrator"])
def test_who_may_not_propose_or_limit_gets_no_button_and_no_way_round_it(house: House, login: Login, role: str) -> None:
    client = login(role)
    attempts = [
        (house.account, "correct", correction(house)),
        (house.account, "set-limit", {"direction": "out", "per_day": "1", "reason": "x"}),
        (house.ada, "set-limit", {"currency": "EUR", "direction": "out", "per_day": "1", "reason": "x"}),
        (house.cleared, "reverse", {"reason": "x"}),
        (house.cleared, "reverse-at-loss", {"reason": "x"}),
        (standing(house), "withdraw", {"reason": "x"}),
        *[(Escalation.objects.first(), name, {"reason": "x"}) for name in ("assign", "return", "charge")],
    ]
    for row, action, values in attempts:
        assert "/do/" not in client.get(change_page(row)).text
        assert client.get(action_url(row, action)).status_code == 403, action
        assert client.post(action_url(row, action), values).status_code == 403, action
    assert (Adjustment.objects.count(), LimitChange.objects.count()) == (1, 1)


def test_not_even_a_superuser_answers_his_own_proposal(house: House, login: Login) -> None:
    client = login("Superuser")
    client.post(action_url(house.account, "correct"), correction(house))
    row = Adjustment.objects.latest("id")
    for action in ("agree", "decline"):
        assert "a second person must" in said(client.post(action_url(row, action), {"note": "", "reason": "x"}))
    row.refresh_from_db()
    assert row.status == "proposed"


# --- Limits ---------------------------------------------------------------------------------------------------------


def test_limits_are_shown_with_their_use_and_set_on_the_account_and_the_customer(house: House, login: Login) -> None:
    client = login("Officer")
    form = client.get(action_url(house.account, "set-limit")).text
    assert "At present: outgoing EUR: 500,000.00 EUR per day." in form
    values = {"direction": "out", "per_transaction": "", "per_day": "20,000", "per_30_days": "", "reason": "she asked"}
    assert "The limit is set" in said(client.post(action_url(house.account, "set-limit"), values))
    assert Limit.objects.get(owner_id=house.account.id).per_day == 2_000_000
    page = client.get(change_page(house.account)).text
    for shown in ("20,000.00 EUR", "12,020.00 EUR", "she asked", "agreed by telephone"):
        assert shown in page, shown
    client.post(action_url(house.ada, "set-limit"), values | {"currency": "EUR", "direction": "in", "per_day": "0"})
    limit = Limit.objects.get(owner_id=house.ada.id)
    assert (limit.direction, limit.per_day) == ("in", 0)
    assert "all of the customer&#x27;s accounts" in client.get(change_page(house.account)).text
    client.post(action_url(house.account, "set-limit"), values | {"per_day": ""})
    assert not Limit.objects.filter(owner_id=house.account.id).exists()
    assert client.get("/admin/ledger/limitchange/", {"q": str(house.account.id)}).text.count("she asked") == 2


def test_the_wallet_s_own_accounts_offer_no_limit(house: House, login: Login) -> None:
    fees = Account.objects.get(purpose="fees", currency="EUR")
    assert "/do/set-limit/" not in login("Officer").get(change_page(fees)).text


# --- Money in suspense ----------------------------------------------------------------------------------------------


def case_in_hand(staff: Staff) -> Case:
    run_until_idle()
    case = Case.objects.get(escalation__status="open")
    return take(case, staff("Officer"))


def test_money_in_suspense_is_assigned_from_its_case_by_two_people(
    sandbox: RunningSandbox, login: Login, staff: Staff
) -> None:
    account = make_account()
    money_of_nobody(sandbox)
    case = case_in_hand(staff)
    officer, senior = login("Officer"), login("Senior officer")
    page = officer.get(change_page(case)).text
    for shown in ("/do/assign/", "/do/return/", "Money in suspense", "7.77 EUR"):
        assert shown in page, shown
    assert "/do/charge/" not in page
    assert "/do/acknowledge/" not in page
    assert "/do/assign/" not in senior.get(change_page(case)).text, "somebody else works on it"
    held = Account.objects.get(purpose="suspense", currency="EUR")
    assert "what becomes of it" in senior.get(change_page(held)).text
    values = {"account": account.customer.user.email, "reason": "he called"}
    assert "Proposed" in said(officer.post(action_url(case, "assign"), values))
    assert "is proposed for this already" in said(officer.post(action_url(case, "assign"), values))
    assert "he called" in officer.get(change_page(case)).text
    row = Adjustment.objects.get()
    assert "Agreed and posted" in said(senior.post(action_url(row, "agree"), {}))
    run_until_idle()
    case.refresh_from_db()
    assert (case.status, flows.balances(account)) == ("resolved", (777, 777))
    assert "Nothing is in suspense" in senior.get(change_page(held)).text
    assert "Settled, money in suspense, to whom it belongs: he called" in officer.get(change_page(case)).text


def test_money_in_suspense_goes_back_to_its_sender_from_the_escalation_s_page(
    sandbox: RunningSandbox, login: Login
) -> None:
    escalation = money_of_nobody(sandbox)
    officer, senior = login("Officer"), login("Senior officer")
    values = {"name": "SBX-SETTLE", "iban": "DE89370400440532013001", "reason": "nobody knows it"}
    assert "not an IBAN" in officer.post(action_url(escalation, "return"), values).text
    officer.post(action_url(escalation, "return"), values | {"iban": "DE89 3704 0044 0532 0130 00"})
    row = Adjustment.objects.get()
    assert "leave for SBX-SETTLE, DE89370400440532013000" in senior.get(change_page(row)).text
    assert "the bank is asked" in said(senior.post(action_url(row, "agree"), {}))
    held = Account.objects.get(purpose="suspense", currency="EUR")
    assert "on its way back" in senior.get(change_page(held)).text
    run_until_idle()
    held.refresh_from_db()
    assert held.cleared == 0


def test_a_payout_of_another_amount_is_charged_from_its_case(
    sandbox: RunningSandbox, login: Login, staff: Staff
) -> None:
    account, made = paid_out_otherwise(sandbox)
    case = case_in_hand(staff)
    officer, senior = login("Officer"), login("Senior officer")
    page = officer.get(change_page(case)).text
    assert "/do/charge/" in page
    assert not any(f"/do/{name}/" in page for name in ("assign", "return", "fail", "retry", "acknowledge"))
    officer.post(action_url(case, "charge"), {"bearer": "payer", "account": "", "reason": "the bank paid half"})
    row = Adjustment.objects.get()
    assert "10.00 EUR that the bank has paid out are taken from Ada Lovelace" in senior.get(change_page(row)).text
    senior.post(action_url(row, "agree"), {})
    assert (flows.status(made), flows.balances(account)) == ("failed: bank_amount_differs", (4_000, 4_000))
