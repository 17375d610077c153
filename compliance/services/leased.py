"""Deciding units of money that wait in a stage: leased in one short commit, judged outside of any transaction, decided
in one commit that counts only for the units whose lease is still held.

A worker that dies in between loses its lease, and the next one starts over. A batch that fails is halved until the unit
that can't be decided stands alone; that one is set aside for a human.
"""

from collections.abc import Callable, Sequence

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Q

from ledger import steps as ledger
from ledger.models import Transaction
from ledger.states import EscalationKind, Stage
from ledger.steps import Claimed
from wallet_project.utils.errors import DatabaseBusy, DatabaseUnavailable, translate_database_error
from wallet_project.utils.metrics import retried
from wallet_project.utils.nudges import nudge
from wallet_project.utils.retry import MAX_TRIES

logger = structlog.get_logger(__name__)

Decide = Callable[[Sequence[Claimed]], None]


def decide_due(stage: Stage, decide: Decide, *, limit: int, topic: str) -> int:
    """Decide up to `limit` units that are due in `stage`; how many were taken up. When that is `limit`, there may be
    more, and `topic` is nudged. Safe to run any number of times at once."""
    with transaction.atomic(durable=True):
        claimed = ledger.claim(stage, limit=limit, lease=settings.LEASE)
    fresh = [unit for unit in claimed if unit.attempts <= MAX_TRIES]
    for unit in claimed:
        if unit.attempts > 1:
            retried(stage.value)
        if unit.attempts > MAX_TRIES:
            _set_aside(unit, stage, error=f"not decided in {MAX_TRIES} tries")
    if fresh:
        _decide(fresh, stage, decide)
    if len(claimed) == limit:
        nudge(topic)
    return len(claimed)


def _decide(batch: Sequence[Claimed], stage: Stage, decide: Decide) -> None:
    try:
        decide(batch)
    except Exception as error:
        meaning = translate_database_error(error)
        if isinstance(meaning, DatabaseUnavailable):
            raise
        if len(batch) > 1:
            middle = len(batch) // 2
            _decide(batch[:middle], stage, decide)
            _decide(batch[middle:], stage, decide)
        elif isinstance(meaning, DatabaseBusy):
            logger.warning(f"{stage}_postponed", unit_id=str(batch[0].unit_id), attempts=batch[0].attempts)
        else:
            logger.exception(f"{stage}_failed", unit_id=str(batch[0].unit_id))
            # The error's text may quote a row, which may be personal; its name goes on record, the rest into the log.
            _set_aside(batch[0], stage, error=f"{stage} failed: {type(error).__name__}")


def _set_aside(unit: Claimed, stage: Stage, *, error: str) -> None:
    """Park a unit that can't be decided and ask for a human, if the lease is still ours."""
    with transaction.atomic(durable=True):
        if not ledger.lock([unit.unit_id], [unit.token]):
            return
        ledger.park([unit.unit_id], error=error)
        of_unit = Transaction.objects.filter(Q(id=unit.unit_id) | Q(group_id=unit.unit_id))
        ledger.escalate(
            kind=EscalationKind.POISONED_UNIT,
            subject_type="unit",
            subject_id=unit.unit_id,
            transaction_id=of_unit.order_by("id").values_list("id", flat=True).first(),
            details={"stage": stage.value, "error": error, "attempts": unit.attempts},
        )
