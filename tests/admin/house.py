"""A house with something in every room, and one member of staff of each role."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import Model
from django.test import Client
from django.utils import timezone

from accounts.models import Account, Customer, User
from accounts.staff import staff_actor
from compliance.models import Case, RuleVersion, SelfAudit
from compliance.models import InboundEvent as IdentityEvent
from compliance.providers.identity import IdentityAnswer, IdentityRequest
from compliance.services import backtests, case_queue, cases, kyc, rules, screening
from compliance.services.documents import add_document, download
from compliance.services.list_activation import activate_version
from compliance.services.lists import import_list
from compliance.services.rules import Draft
from compliance.states import DocumentKind, RuleChange
from ledger import steps
from ledger.models import InboundEvent as BankEvent
from ledger.models import Transaction
from ledger.services import clearing, limits, payments, proposals
from ledger.states import EscalationKind, LimitDirection
from tests.compliance.lists.files import INTERNAL
from tests.support.factories import NOW, actor_of, make_account, make_customer, make_user
from wallet_project.backoffice.site import STAFF_DOOR
from wallet_project.utils.context import Actor, system_actor
from wallet_project.utils.money import Money

ROLES = ("Officer", "Senior officer", "Auditor", "Administrator")


@dataclass
class House:
    """Ada pays Grace; one payment is over, one waits for an officer; Mary's identity is in review."""

    ada: Customer
    account: Account
    receiver: Account
    mary: Customer
    cleared: Transaction
    held: Transaction

    @property
    def held_case(self) -> Case:
        return Case.objects.get(screening__transaction=self.held)

    @property
    def identity_case(self) -> Case:
        return Case.objects.get(kyc_check__customer=self.mary)

    @property
    def escalation_case(self) -> Case:
        return Case.objects.get(escalation__transaction=self.cleared)


class Undecided:
    """An identity provider that leaves everything to an officer."""

    def submit(self, check: IdentityRequest) -> IdentityAnswer:
        raw = {"id": "chk_1", "reference": check.reference, "status": "review", "reason": "document is blurred"}
        return IdentityAnswer("review", "chk_1", "document is blurred", raw)

    def status(self, reference: str) -> IdentityAnswer | None:
        return None


def pay(house_account: Account, receiver: Account, amount: int) -> Transaction:
    made = payments.transfer(
        actor=actor_of(house_account.customer),
        source=house_account.id,
        destination=receiver.id,
        amount=Money(amount, "EUR"),
        reference="rent",
        metadata={"flat": "12"},
        key=uuid4().hex,
        request_hash=bytes(32),
    )
    return Transaction.objects.get(id=made.transaction.id)


def build_house() -> House:
    ada, grace = make_customer(), make_customer()
    account, receiver = make_account(ada, funded=10_000_000, label="Main"), make_account(grace)
    cleared, held = pay(account, receiver, 2_000), pay(account, receiver, 1_200_000)
    payments.deposit(
        actor=actor_of(ada), account=account.id, amount=Money(5_000, "EUR"), key=uuid4().hex, request_hash=bytes(32)
    )
    screening.screen_due(now=NOW)
    clearing.clear_due()
    mary = make_customer(verified=False)
    make_account(mary)
    kyc.start_due_checks(now=NOW)
    kyc.run_due_checks(now=NOW, provider=Undecided())
    with transaction.atomic():
        steps.escalate(
            kind=EscalationKind.UNMATCHED_MONEY,
            subject_type="transaction",
            subject_id=cleared.id,
            transaction_id=cleared.id,
            details={
                "why": "nobody expected it",
                "amount": 700,
                "payer": {"name": "<i>Bob</i> Tables", "iban": "", "country": "FR"},
            },
        )
    case_queue.open_cases(now=NOW)
    BankEvent.objects.create(event_id=uuid4().hex, kind="credit.received", payload={"amount": 700})
    IdentityEvent.objects.create(event_id=uuid4().hex, kind="check.completed", payload={"status": "review"})
    officer = staff_of("Officer")
    proposals.propose_reversal(actor=officer, transaction_id=cleared.id, amount=500, reason="half of the rent")
    document = add_document(
        actor=actor_of(ada),
        kind=DocumentKind.PROOF_OF_ADDRESS,
        expires_on=None,
        content=b"%PDF-1.7 a bill",
        now=NOW,
    ).document
    download(actor=officer, document_id=document.id)
    limits.set_account_limit(
        actor=officer,
        account_id=account.id,
        direction=LimitDirection.OUT,
        per_transaction=None,
        per_day=50_000_000,
        per_30_days=None,
        reason="agreed by telephone",
    )
    SelfAudit.objects.create(
        asked_by_id=system_actor().principal_id,
        began_at=NOW,
        complete=True,
        failing=1,
        results=[
            {
                "app": "ledger",
                "check": "I1",
                "title": "balances sum to zero",
                "holds": False,
                "unread": "",
                "figures": {"entries": 2},
                "offending": [{"problem": "they do not", "currency": "EUR"}],
            }
        ],
    )
    return House(ada=ada, account=account, receiver=receiver, mary=mary, cleared=cleared, held=held)


def furnish_with_a_list() -> None:
    """One that is in force; apart, as few of these tests look at it."""
    listed = import_list(
        actor=system_actor(), path=INTERNAL, format="internal-csv", name=f"Deny {uuid4().hex[:8]}", purpose="deny"
    )
    activate_version(actor=system_actor(), version_id=listed.version.id, reason="asked for by the board", now=NOW)


def furnish_with_a_rule() -> RuleVersion:
    """One in shadow, proposed to be activated, and tried on the past; apart, as few of these tests look at it."""
    officer = system_actor()
    draft = Draft("amount < 100", "Only {amount as money}.", "review")
    version = rules.create_rule(actor=officer, name=f"small_{uuid4().hex}", description="Small change.", draft=draft)
    rules.put_in_shadow(actor=officer, version_id=version.id, reason="let us see")
    rules.propose(actor=officer, version_id=version.id, change=RuleChange.ACTIVATE, reason="it is good")
    since, until = timezone.now() - timedelta(days=1), timezone.now() + timedelta(days=1)
    backtests.ask_for_backtest(actor=officer, version_id=version.id, since=since, until=until)
    backtests.run_backtests(now=timezone.now())
    return version


def staff_of(role: str) -> Actor:
    user = make_user(is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    return staff_actor(user)


def take(case: Case, user: User) -> Case:
    return cases.take_case(case_id=case.id, actor=staff_actor(user))


def work_on(house: House, officer: User) -> None:
    """Leave a note and a decision behind."""
    case = take(house.escalation_case, officer)
    actor = staff_actor(officer)
    cases.add_note(case_id=case.id, actor=actor, text="I called the bank.")
    cases.decide_case(case_id=case.id, actor=actor, verdict="acknowledge", reason="booked by hand", now=NOW)


def come_in(client: Client, user: User) -> Client:
    """As after the staff's login, without the slow password."""
    client.force_login(user)
    session = client.session
    session[STAFF_DOOR] = True
    session.save()
    return client


def action_url(row: Model, action: str) -> str:
    return f"/admin/{row._meta.app_label}/{row._meta.model_name}/{row.pk}/do/{action}/"
