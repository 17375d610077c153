"""I6: nothing is stuck."""

from typing import Final

from wallet_project.utils.verification import SqlCheck

#: Work that has been due for longer than this (in seconds) is stuck, and nobody is working on it.
LATE_SECONDS: Final = 900

_LATE: Final = "< now() - make_interval(secs => %(late)s)"
_ESCALATED: Final = "EXISTS (SELECT FROM ledger_escalation x WHERE x.status = 'open' AND {})"


def nothing_stuck() -> SqlCheck:
    about_the_unit = _ESCALATED.format(
        "x.transaction_id IN (SELECT t.id FROM ledger_transaction t WHERE coalesce(t.group_id, t.id) = w.unit_id)"
    )
    about_the_rail = _ESCALATED.format("x.transaction_id = r.transaction_id")
    about_the_event = _ESCALATED.format("x.subject_type = 'inbound_event' AND x.subject_id = i.id::text")
    return SqlCheck(
        name="I6",
        title="Nothing is stuck: what has not ended has a due time, or an open escalation",
        parameters={"late": LATE_SECONDS},
        figures="""SELECT (SELECT count(*) FROM ledger_workitem) AS waiting_units,
                          (SELECT count(*) FROM ledger_railtransfer WHERE next_at IS NOT NULL) AS bank_transfers,
                          (SELECT count(*) FROM ledger_inboundevent WHERE next_at IS NOT NULL) AS bank_messages,
                          (SELECT count(*) FROM ledger_escalation WHERE status = 'open') AS open_escalations""",
        offences={
            "a pending transaction that nothing works on": """
                SELECT t.id AS transaction_id, t.kind, t.created_at
                FROM ledger_pending p JOIN ledger_transaction t ON t.id = p.transaction_id
                WHERE t.status = 'pending'
                    AND NOT EXISTS (SELECT FROM ledger_workitem w WHERE w.unit_id = coalesce(t.group_id, t.id))""",
            "work on a transaction that has ended": """
                SELECT w.unit_id, w.stage FROM ledger_workitem w
                WHERE NOT EXISTS (SELECT FROM ledger_pending p JOIN ledger_transaction t ON t.id = p.transaction_id
                                  WHERE coalesce(t.group_id, t.id) = w.unit_id)""",
            # An officer's review is a case, which is for compliance's own check.
            "a unit that waits for nobody": f"""
                SELECT w.unit_id, w.stage, w.next_at FROM ledger_workitem w
                WHERE (w.stage IN ('screening', 'payer', 'clearing') AND (w.next_at IS NULL OR w.next_at {_LATE}))
                    OR (w.stage = 'parked' AND NOT {about_the_unit})
                    OR (w.stage = 'settling' AND NOT EXISTS (
                        SELECT FROM ledger_railtransfer r JOIN ledger_transaction t ON t.id = r.transaction_id
                        WHERE coalesce(t.group_id, t.id) = w.unit_id AND r.status IN ('queued', 'submitted')))""",  # noqa: S608
            "a bank transfer that nobody asks about": f"""
                SELECT r.id AS rail_transfer_id, r.status, r.next_at FROM ledger_railtransfer r
                WHERE r.status IN ('queued', 'submitted') AND (r.next_at IS NULL OR r.next_at {_LATE})
                    AND NOT {about_the_rail}""",  # noqa: S608
            "a message from the bank that nobody acts on": f"""
                SELECT i.id AS event, i.kind, i.next_at, i.last_error FROM ledger_inboundevent i
                WHERE i.processed_at IS NULL AND (i.next_at IS NULL OR i.next_at {_LATE}) AND NOT {about_the_event}""",  # noqa: S608
        },
    )
