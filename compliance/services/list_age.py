"""Lists that others publish grow old in silence: nobody on them is missed until he is looked for in vain."""

from datetime import datetime
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction

from ledger import steps as ledger
from ledger.states import EscalationKind, EscalationStatus
from wallet_project.utils.context import system_actor

_IN_FORCE: Final = """
    SELECT l.id::text AS list, l.name, v.number, v.seen_at,
           v.seen_at < now() - make_interval(days => %(days)s) AS old
    FROM compliance_listversion v JOIN compliance_sanctionslist l ON l.id = v.list_id
    WHERE v.status = 'active' AND l.format <> 'internal-csv'"""
#: Once somebody was told he is left alone for as long again.
_OLD: Final = f"""
    SELECT f.list, f.name, f.number, f.seen_at::date::text FROM ({_IN_FORCE}) f
    WHERE f.old AND NOT EXISTS (
        SELECT FROM ledger_escalation e
        WHERE e.kind = %(kind)s AND e.subject_id = f.list
            AND e.created_at > greatest(f.seen_at, now() - make_interval(days => %(days)s)))
    ORDER BY f.list"""  # noqa: S608 - a constant of this module
_FRESH: Final = f"""
    SELECT e.id FROM ledger_escalation e JOIN ({_IN_FORCE}) f ON f.list = e.subject_id
    WHERE e.kind = %(kind)s AND e.status = %(open)s AND NOT f.old ORDER BY e.id"""  # noqa: S608 - as above


def watch_lists(*, now: datetime) -> int:
    """Escalate each publisher's list of which nobody has seen for `LIST_MAX_AGE_DAYS` that it still says what is in
    force, and end what was escalated of those that are fresh again; how many of both."""
    days = settings.LIST_MAX_AGE_DAYS
    if not days:
        return 0
    asked = {"days": days, "kind": EscalationKind.LIST_OLD, "open": EscalationStatus.OPEN}
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            cursor.execute(_OLD, asked)
            old = cursor.fetchall()
        for list_id, name, number, seen in old:
            why = f"version {number} of {name} was last read on {seen}, more than {days} days ago"
            ledger.escalate(kind=EscalationKind.LIST_OLD, subject_type="list", subject_id=list_id, details={"why": why})
    with connection.cursor() as cursor:
        cursor.execute(_FRESH, asked)
        fresh = [id_ for (id_,) in cursor.fetchall()]
    return len(old) + sum(_end(id_, now=now) for id_ in fresh)


def _end(escalation_id: UUID, *, now: datetime) -> bool:
    with transaction.atomic(durable=True):
        try:
            locked = ledger.lock_escalation(escalation_id)
        except ledger.EscalationAlreadyResolved:
            return False
        ledger.close_escalation(locked.row, actor=system_actor(), reason="the list was read again", now=now)
    return True
