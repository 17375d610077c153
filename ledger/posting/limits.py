"""Setting limits; they are applied by the functions that reserve and clear (ledger/sql/limits.sql)."""

from uuid import UUID

from ledger.posting.calls import rows
from wallet_project.utils.context import Actor
from wallet_project.utils.errors import database_refusals


def set_limit(
    *,
    owner_id: UUID,
    scope: str,
    direction: str,
    currency: str,
    per_transaction: int | None,
    per_day: int | None,
    per_30_days: int | None,
    actor: Actor,
    reason: str,
    request_id: str,
) -> None:
    """Set, change or (all three None) remove what may leave (`out`) or reach (`in`) an account or a customer.

    Minor units; what has counted in the last 30 days counts from the start. Raises AccountNotFound.
    """
    with database_refusals():
        rows(
            "SELECT ledger_set_limit(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                owner_id,
                scope,
                direction,
                currency,
                per_transaction,
                per_day,
                per_30_days,
                actor.principal_id,
                reason[:500],
                request_id[:64],
            ],
        )
