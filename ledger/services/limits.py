"""Setting what may leave or reach an account, or all accounts of a customer; ledger/sql/limits.sql applies it."""

from typing import Final
from uuid import UUID

from django.db import transaction

from accounts.models import Account, Customer
from accounts.selectors import AccountNotFound, CustomerNotFound
from accounts.staff import given_reason, require_colleague, require_permission
from accounts.states import AccountKind
from ledger import posting
from ledger.states import LimitDirection, LimitScope
from wallet_project.utils.context import Actor, request_id
from wallet_project.utils.errors import InvalidInput
from wallet_project.utils.money import MAX_AMOUNT, currencies

SET_LIMIT: Final = "ledger.set_limit"


class LimitInvalid(InvalidInput):
    code = "limit_invalid"
    message = "A limit is from 0 (nothing at all) to 10^15 minor units, of a currency that the wallet keeps."


def set_account_limit(
    *,
    actor: Actor,
    account_id: UUID,
    direction: LimitDirection,
    per_transaction: int | None,
    per_day: int | None,
    per_30_days: int | None,
    reason: str,
) -> None:
    """Set what may leave or reach one account, in minor units of its currency; None is no limit, and all three None
    remove it. What counted in the last 30 days counts at once.

    Raises AccountNotFound, PermissionMissing, AboutYourself, LimitInvalid, ReasonRequired.
    """
    with transaction.atomic(durable=True):
        account = Account.objects.select_related("customer").filter(id=account_id, kind=AccountKind.CUSTOMER).first()
        if account is None:
            raise AccountNotFound("There is no such customer's account.")
        assert account.customer is not None, "a customer's account"
        _set(
            actor=actor,
            owner_id=account.id,
            customer=account.customer,
            scope=LimitScope.ACCOUNT,
            direction=direction,
            currency=account.currency,
            amounts=(per_transaction, per_day, per_30_days),
            reason=reason,
        )


def set_customer_limit(
    *,
    actor: Actor,
    customer_id: UUID,
    currency: str,
    direction: LimitDirection,
    per_transaction: int | None,
    per_day: int | None,
    per_30_days: int | None,
    reason: str,
) -> None:
    """The same for all accounts of a customer in one currency together; what he moves between them does not count.

    Raises CustomerNotFound, PermissionMissing, AboutYourself, LimitInvalid, ReasonRequired.
    """
    with transaction.atomic(durable=True):
        customer = Customer.objects.filter(id=customer_id).first()
        if customer is None:
            raise CustomerNotFound()
        _set(
            actor=actor,
            owner_id=customer.id,
            customer=customer,
            scope=LimitScope.CUSTOMER,
            direction=direction,
            currency=currency,
            amounts=(per_transaction, per_day, per_30_days),
            reason=reason,
        )


def _set(
    *,
    actor: Actor,
    owner_id: UUID,
    customer: Customer,
    scope: LimitScope,
    direction: LimitDirection,
    currency: str,
    amounts: tuple[int | None, int | None, int | None],
    reason: str,
) -> None:
    reason = given_reason(reason)
    if currency not in currencies() or any(amount is not None and not 0 <= amount <= MAX_AMOUNT for amount in amounts):
        raise LimitInvalid(fields={"limit": "From 0 to 10^15 minor units, in a currency that the wallet keeps."})
    per_transaction, per_day, per_30_days = amounts
    posting.set_limit(
        owner_id=owner_id,
        scope=scope,
        direction=LimitDirection(direction),
        currency=currency,
        per_transaction=per_transaction,
        per_day=per_day,
        per_30_days=per_30_days,
        actor=actor,
        reason=reason,
        request_id=request_id.get(),
    )
    # The owner and his accounts are locked by now: the last word on who may.
    require_permission(actor, SET_LIMIT)
    require_colleague(actor, customer)
