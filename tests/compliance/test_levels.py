"""Levels of customers: the limits that are bound to them, what raises and what lowers them."""

from datetime import date
from hashlib import sha256
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.utils import timezone

import accounts.steps
import compliance.steps
from accounts.models import Account, Customer, CustomerLevel, StateChange
from accounts.staff import AboutYourself, PermissionMissing, ReasonRequired, staff_actor
from accounts.states import Level
from compliance.models import Document, KycCheck
from compliance.services.levels import NotVerified, lower_level
from compliance.states import DocumentKind
from ledger.levels import check_level_limits
from ledger.models import Limit, LimitChange, Usage
from ledger.selectors.limits import limits_of
from ledger.services import limits, payments
from ledger.services.levels import keep_level_limits
from ledger.states import LimitDirection
from tests.compliance.people import at_once, path_of, staff, user_of
from tests.ledger import flows
from tests.support.factories import api_client, fund, make_account, make_customer
from tests.support.pipeline import verify
from wallet_project.utils.context import system_actor
from wallet_project.utils.transitions import born, move

pytestmark = pytest.mark.django_db

LIMITS = {
    "basic": {"EUR": {"per_transaction": 1_000, "per_day": 1_500, "per_30_days": 2_000}},
    "full": {"EUR": {"per_day": 5_000}},
}


@pytest.fixture(autouse=True)
def level_limits(settings: Any) -> None:
    settings.LEVEL_LIMITS = LIMITS


def approved(customer: Customer | None = None) -> Customer:
    """Somebody whose identity check has come out well, with an account in euros."""
    customer = customer or make_customer(verified=False)
    make_account(customer)
    customer.refresh_from_db()
    now = timezone.now()
    check = KycCheck.objects.create(customer=customer, profile=customer.profile, next_at=now)
    with transaction.atomic():
        born(check, actor=system_actor())
        compliance.steps.conclude(check, approved=True, decided_by="provider", reason="", actor=system_actor(), now=now)
    return Customer.objects.select_related("level", "user__principal").get(id=customer.id)


def rise(customer: Customer) -> None:
    with transaction.atomic():
        accounts.steps.lock_customer(customer.id)
        level = accounts.steps.lock_level(customer.id)
        assert level is not None
        for kind in (DocumentKind.PASSPORT, DocumentKind.PROOF_OF_ADDRESS):
            document = Document.objects.create(
                customer=customer, kind=kind, expires_on=date(2099, 1, 1), media_type="application/pdf", size=1,
                sha256=sha256(f"{kind} of {customer.id}".encode()).hexdigest(),
            )  # fmt: skip
            born(document, actor=system_actor())
            move(document, "accept", actor=system_actor(), reason="seen")
        compliance.steps.change_level(level, Level.FULL, actor=system_actor(), reason="documents", now=timezone.now())


def account_of(customer: Customer, amount: int) -> Account:
    account = Account.objects.get(customer=customer)
    fund(account, amount)
    return account


def refused(source: Account, amount: int) -> bool:
    try:
        flows.transfer(source, make_account(), amount)
    except payments.LimitExceeded:
        return True
    return False


def test_whoever_is_verified_for_the_first_time_is_basic_with_its_limits_in_every_currency() -> None:
    customer = approved()
    assert path_of(customer.level.id) == ["basic"]
    rows = {row.currency: row for row in Limit.objects.filter(owner_id=customer.id)}
    assert set(rows) == {"EUR", "USD", "GBP", "CHF", "JPY"}
    assert (rows["EUR"].level_per_transaction, rows["USD"].level_per_day, rows["JPY"].level_per_30_days) == (
        1_000,
        1_500,
        2_000,
    )
    assert rows["EUR"].per_transaction is None
    assert api_client(customer).get("/api/v1/me").json()["level"] == "basic"
    account = account_of(customer, 10_000)
    assert refused(account, 1_001)
    assert not refused(account, 1_000)
    assert refused(account, 501)
    shown = api_client(customer).get(f"/api/v1/accounts/{account.id}/limits").json()["limits"]
    assert [(each["scope"], each["per_day"]) for each in shown] == [
        ("level", {"limit": 1_500, "used": 1_000, "left": 500})
    ]
    verify("--no-bank")


def test_of_a_level_s_and_staff_s_limit_the_tighter_holds_and_each_is_kept_when_the_other_changes() -> None:
    customer = approved()
    account = account_of(customer, 20_000)

    def by_staff(per_day: int | None) -> None:
        limits.set_customer_limit(
            actor=staff(), customer_id=customer.id, currency="EUR", direction=LimitDirection.OUT,
            per_transaction=None, per_day=per_day, per_30_days=None, reason="agreed",
        )  # fmt: skip

    assert not refused(account, 100)
    by_staff(300)
    assert refused(account, 201)
    assert {(each.scope, each.per_day, each.used_today) for each in limits_of([customer.id], currency="EUR")} == {
        ("customer", 300, 100),
        ("level", 1_500, 100),
    }
    rise(customer)
    assert refused(account, 201)
    by_staff(9_000)
    assert not refused(account, 4_900)
    assert refused(account, 1)
    by_staff(None)
    assert refused(account, 1)
    verify("--no-bank")
    lower_level(customer_id=customer.id, actor=staff(), reason="the address was wrong", now=timezone.now())
    assert refused(account, 1)
    assert path_of(customer.level.id) == ["basic", "full", "basic"]
    changed = StateChange.objects.filter(subject_id=customer.level.id).latest("id")
    assert (changed.reason, changed.machine) == ("the address was wrong", "customerlevel")
    verify("--no-bank")


def test_what_was_sent_before_a_level_was_limited_counts_at_once_and_new_settings_reach_everybody(
    settings: Any,
) -> None:
    settings.LEVEL_LIMITS = {}
    customer = approved()
    other = approved()
    rise(other)
    account = account_of(customer, 10_000)
    assert not refused(account, 1_400)
    assert not Limit.objects.exists()
    assert not Usage.objects.exists()
    assert keep_level_limits() == 0
    settings.LEVEL_LIMITS = LIMITS
    assert keep_level_limits() == 2 + CustomerLevel.objects.exclude(customer__in=[customer, other]).count()
    assert keep_level_limits() == 0
    assert refused(account, 101)
    assert not refused(account, 100)
    assert Limit.objects.get(owner_id=other.id, currency="EUR").level_per_day == 5_000
    verify("--no-bank")
    settings.LEVEL_LIMITS = {"full": LIMITS["full"]}
    keep_level_limits()
    assert not Limit.objects.filter(owner_id=customer.id).exists()
    assert not refused(account, 2_000)
    assert set(LimitChange.objects.filter(owner_id=customer.id).values_list("scope", flat=True)) == {"level"}
    verify("--no-bank")


def test_twenty_payments_at_once_with_a_level_that_falls_among_them_stay_within_the_lower_one() -> None:
    customer = approved()
    rise(customer)
    account = account_of(customer, 100_000)
    receivers = [make_account() for _ in range(20)]
    officer, now = staff(), timezone.now()
    answers = at_once(
        lambda: lower_level(customer_id=customer.id, actor=officer, reason="a doubt", now=now),
        *(lambda to=to: flows.transfer(account, to, 100) for to in receivers),
    )
    assert answers[0] is None
    assert all(not isinstance(each, Exception) or isinstance(each, payments.LimitExceeded) for each in answers[1:]), (
        answers
    )
    # Fifteen fit the basic level; those that came before the fall were within the full one, for all twenty.
    sent = sum(not isinstance(each, Exception) for each in answers[1:])
    assert 15 <= sent <= 20
    assert refused(account, 100)
    (shown,) = limits_of([customer.id], currency="EUR")
    assert (shown.per_day, shown.used_today) == (1_500, sent * 100)
    account.refresh_from_db()
    assert account.reserved == sent * 100
    verify("--no-bank")


def test_twenty_payments_at_once_never_exceed_a_level_together() -> None:
    customer = approved()
    account = account_of(customer, 100_000)
    receivers = [make_account() for _ in range(20)]
    answers = at_once(*(lambda to=to: flows.transfer(account, to, 200) for to in receivers))
    assert sum(isinstance(each, payments.LimitExceeded) for each in answers) == 13
    (shown,) = limits_of([customer.id], currency="EUR")
    assert shown.used_today == 1_400
    verify("--no-bank")


def test_a_level_is_lowered_by_a_colleague_with_the_permission_and_a_reason_alone() -> None:
    customer, now = approved(), timezone.now()
    officer = staff()
    with pytest.raises(accounts.steps.WrongState):
        lower_level(customer_id=customer.id, actor=officer, reason="is basic", now=now)
    rise(customer)
    with pytest.raises(ReasonRequired):
        lower_level(customer_id=customer.id, actor=officer, reason=" ", now=now)
    with pytest.raises(PermissionMissing):
        lower_level(customer_id=customer.id, actor=staff("Auditor"), reason="a doubt", now=now)
    with pytest.raises(NotVerified):
        lower_level(customer_id=make_customer(verified=False).id, actor=officer, reason="a doubt", now=now)
    himself = customer.user
    himself.is_staff = True
    himself.save()
    himself.groups.set(user_of(officer).groups.all())
    with pytest.raises(AboutYourself):
        lower_level(customer_id=customer.id, actor=staff_actor(himself), reason="a doubt", now=now)
    assert CustomerLevel.objects.get(customer=customer).level == "full"


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        {"gold": {}},
        {"basic": []},
        {"basic": {"XYZ": {}}},
        {"basic": {"EUR": {"per_year": 1}}},
        {"basic": {"EUR": {"per_day": -1}}},
        {"basic": {"EUR": {"per_day": "1"}}},
        {"basic": {"EUR": {"per_day": True}}},
    ],
)
def test_limits_of_levels_that_nothing_would_go_by_are_refused_at_the_start(wrong: Any, settings: Any) -> None:
    check_level_limits()
    settings.LEVEL_LIMITS = wrong
    with pytest.raises(ImproperlyConfigured):
        check_level_limits()
