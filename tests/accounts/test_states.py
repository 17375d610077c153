"""Accounts are frozen, unfrozen and closed; identities are checked anew."""

import threading
from collections.abc import Callable
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission
from django.db import DatabaseError, connection, transaction

import accounts.steps
from accounts.models import Account, StateChange
from accounts.services.accounts import freeze_account, unfreeze_account
from accounts.services.customers import restart_verification
from accounts.staff import PermissionMissing, ReasonRequired, staff_actor
from accounts.steps import AccountNotEmpty, IdentityRejected, ProfileRequired, WrongState
from tests.support.factories import api_client, make_account, make_customer, make_user, reject
from wallet_project.utils.context import Actor, system_actor
from wallet_project.utils.errors import NotFound

pytestmark = pytest.mark.django_db


def officer() -> Actor:
    user = make_user(is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=["freeze_account", "restart_verification"]))
    return staff_actor(user)


def test_an_officer_freezes_and_unfreezes_and_says_why() -> None:
    account, actor = make_account(), officer()
    freeze_account(account_id=account.id, actor=actor, reason="asked by the police")
    seen = api_client(account.customer).get(f"/api/v1/accounts/{account.id}").json()
    assert seen["status"] == "frozen"
    assert seen["status_reason"] == "This account is frozen; contact support.", "the log's reason is not the customer's"
    unfreeze_account(account_id=account.id, actor=actor, reason="settled")
    account.refresh_from_db()
    assert (account.status, account.status_reason) == ("open", "")
    changes = StateChange.objects.filter(subject_id=account.id).order_by("id")[2:]
    assert [(c.to_state, c.reason, c.actor_id) for c in changes] == [
        ("frozen", "asked by the police", actor.principal_id),
        ("open", "settled", actor.principal_id),
    ]


def test_a_reason_is_required() -> None:
    account, actor = make_account(), officer()
    with pytest.raises(ReasonRequired):
        freeze_account(account_id=account.id, actor=actor, reason="  ")
    account.refresh_from_db()
    assert account.status == "open"


def test_only_who_may_freezes() -> None:
    account = make_account()
    with pytest.raises(PermissionMissing):
        freeze_account(account_id=account.id, actor=staff_actor(make_user(is_staff=True)), reason="because")
    account.refresh_from_db()
    assert account.status == "open"


@pytest.mark.parametrize("use_case", [freeze_account, unfreeze_account])
def test_what_the_state_does_not_allow_is_refused(use_case: Callable[..., Account]) -> None:
    account, actor = make_account(make_customer(verified=False)), officer()
    with pytest.raises(WrongState) as refused:
        use_case(account_id=account.id, actor=actor, reason="because")
    assert refused.value.facts == {"state": "requested"}
    with pytest.raises(NotFound):
        use_case(account_id=uuid4(), actor=actor, reason="because")


def test_the_wallets_own_accounts_are_not_frozen() -> None:
    settlement = Account.objects.get(kind="system", purpose="settlement", currency="EUR")
    with pytest.raises(NotFound):
        freeze_account(account_id=settlement.id, actor=officer(), reason="because")


def test_an_empty_account_is_closed() -> None:
    account = make_account()
    with transaction.atomic():
        accounts.steps.close_account(account_id=account.id, actor=system_actor(), reason="asked by the customer")
    account.refresh_from_db()
    assert account.status == "closed"


def test_an_account_with_money_is_not_closed() -> None:
    account = make_account(funded=1)
    with pytest.raises(AccountNotEmpty) as refused, transaction.atomic():
        accounts.steps.close_account(account_id=account.id, actor=system_actor())
    assert refused.value.facts == {"cleared": 1, "reserved": 0}
    account.refresh_from_db()
    assert account.status == "open"


def test_closing_waits_for_a_posting_that_pays_into_the_account() -> None:
    """A posting holds FOR KEY SHARE on the receiving account: closing must not slip past it."""
    account = make_account()
    locked, release = threading.Event(), threading.Event()

    def posting() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM accounts_account WHERE id = %s FOR KEY SHARE", [account.id])
            locked.set()
            release.wait(timeout=10)
        connection.close()

    thread = threading.Thread(target=posting)
    thread.start()
    assert locked.wait(timeout=10)
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '50ms'")
    with pytest.raises(DatabaseError, match="lock timeout"), transaction.atomic():
        accounts.steps.close_account(account_id=account.id, actor=system_actor())
    release.set()
    thread.join(timeout=10)
    with transaction.atomic():
        accounts.steps.close_account(account_id=account.id, actor=system_actor())


def test_a_step_demands_an_open_transaction() -> None:
    customer = make_customer()
    with pytest.raises(AssertionError):
        accounts.steps.request_verification(customer_id=customer.id, actor=system_actor())


def test_staff_let_a_rejected_customer_be_checked_again(nudges: list[str]) -> None:
    customer = make_customer(verified=False)
    reject(customer)
    with pytest.raises(IdentityRejected), transaction.atomic():
        accounts.steps.request_verification(customer_id=customer.id, actor=system_actor())
    restart_verification(customer_id=customer.id, actor=officer(), reason="a new document came by post")
    customer.refresh_from_db()
    assert (customer.kyc_status, customer.kyc_reason) == ("pending", "")
    assert "compliance.run_checks" in nudges


def test_nobody_without_a_profile_is_checked() -> None:
    customer = make_customer(verified=False, profile=None)
    with pytest.raises(ProfileRequired):
        restart_verification(customer_id=customer.id, actor=officer(), reason="because")


def test_the_database_knows_the_machine_too() -> None:
    account = make_account()
    for state in ("requested", "rejected"):
        with pytest.raises(DatabaseError, match="may not go from"), transaction.atomic():
            Account.objects.filter(id=account.id).update(status=state)
