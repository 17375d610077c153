"""What waits, for the metrics. Nothing here writes."""

from django.db import connection

from ledger.states import Stage


def oldest_waiting_seconds() -> list[tuple[tuple[str, ...], float]]:
    """((stage,), seconds since the oldest unit there was due), 0 where none is late; the bank's rows are `rail`."""
    ages = dict.fromkeys([str(stage) for stage in Stage if stage != Stage.SETTLING] + ["rail", "bank_event"], 0.0)
    ages |= _pairs(
        """SELECT stage, extract(epoch FROM now() - min(coalesce(next_at, created_at)))::float8 FROM ledger_workitem
           WHERE stage <> 'settling' AND (next_at IS NULL OR next_at < now()) GROUP BY stage
           UNION ALL SELECT 'rail', extract(epoch FROM now() - min(next_at))::float8 FROM ledger_railtransfer
           WHERE next_at < now() HAVING count(*) > 0
           UNION ALL SELECT 'bank_event', extract(epoch FROM now() - min(next_at))::float8 FROM ledger_inboundevent
           WHERE next_at < now() HAVING count(*) > 0"""
    )
    return [((stage,), max(0.0, age)) for stage, age in sorted(ages.items())]


def waiting_units() -> list[tuple[tuple[str, ...], float]]:
    """((stage,), how many units wait there)."""
    counts = dict.fromkeys([str(stage) for stage in Stage], 0.0)
    counts |= _pairs("SELECT stage, count(*)::float8 FROM ledger_workitem GROUP BY stage")
    return [((stage,), count) for stage, count in sorted(counts.items())]


def open_escalation_count() -> list[tuple[tuple[str, ...], float]]:
    """((), how many escalations wait for a human)."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*)::float8 FROM ledger_escalation WHERE status = 'open'")
        row = cursor.fetchone()
    return [((), float(row[0] if row else 0))]


def _pairs(sql: str) -> dict[str, float]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return dict(cursor.fetchall())
