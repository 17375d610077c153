"""I6: nothing is stuck."""

from typing import Final

from wallet_project.utils.verification import SqlCheck, without

#: Work that has been due for longer than this (in seconds) is stuck, and nobody is working on it.
LATE_SECONDS: Final = 900

_LATE: Final = "< now() - make_interval(secs => %(late)s)"
_UNIT: Final = "coalesce(t.group_id, t.id) AS unit_id"
#: By unit. That what is listed as pending is what is pending, I5 says.
_PENDING: Final = f"""
    SELECT t.id AS transaction_id, t.kind, t.created_at, {_UNIT}
    FROM ledger_pending p JOIN ledger_transaction t ON t.id = p.transaction_id"""  # noqa: S608
_ESCALATED: Final = f"""
    SELECT {_UNIT} FROM ledger_escalation x JOIN ledger_transaction t ON t.id = x.transaction_id
    WHERE x.status = 'open'"""  # noqa: S608
_AT_THE_BANK: Final = f"""
    SELECT {_UNIT} FROM ledger_railtransfer r JOIN ledger_transaction t ON t.id = r.transaction_id
    WHERE r.status IN ('queued', 'submitted')"""  # noqa: S608


def nothing_stuck() -> SqlCheck:
    return SqlCheck(
        name="I6",
        title="Nothing is stuck: what has not ended has a due time, or an open escalation",
        parameters={"late": LATE_SECONDS},
        figures="""SELECT (SELECT count(*) FROM ledger_workitem) AS waiting_units,
                          (SELECT count(*) FROM ledger_railtransfer WHERE next_at IS NOT NULL) AS bank_transfers,
                          (SELECT count(*) FROM ledger_inboundevent WHERE next_at IS NOT NULL) AS bank_messages,
                          (SELECT count(*) FROM ledger_escalation WHERE status = 'open') AS open_escalations""",
        offences={
            "a pending transaction that nothing works on": without(
                _PENDING, "SELECT unit_id FROM ledger_workitem", on="unit_id"
            ),
            "work on a transaction that has ended": without(
                "SELECT unit_id, stage FROM ledger_workitem", _PENDING, on="unit_id"
            ),
            # An officer's review is a case, which is for compliance's own check.
            "a unit that waits for nobody": f"""
                SELECT w.unit_id, w.stage, w.next_at FROM ledger_workitem w
                WHERE w.stage IN ('screening', 'payer', 'clearing') AND (w.next_at IS NULL OR w.next_at {_LATE})
                UNION ALL {without(_of_stage("parked"), _ESCALATED, on="unit_id")}
                UNION ALL {without(_of_stage("settling"), _AT_THE_BANK, on="unit_id")}""",  # noqa: S608
            "a bank transfer that nobody asks about": without(
                f"""SELECT r.transaction_id, r.id AS rail_transfer_id, r.status, r.next_at FROM ledger_railtransfer r
                    WHERE r.status IN ('queued', 'submitted') AND (r.next_at IS NULL OR r.next_at {_LATE})""",  # noqa: S608
                "SELECT x.transaction_id FROM ledger_escalation x WHERE x.status = 'open'",
                on="transaction_id",
            ),
            "a message from the bank that nobody acts on": without(
                f"""SELECT i.id::text AS event, i.kind, i.next_at, i.last_error FROM ledger_inboundevent i
                    WHERE i.processed_at IS NULL AND (i.next_at IS NULL OR i.next_at {_LATE})""",  # noqa: S608
                """SELECT x.subject_id AS event FROM ledger_escalation x
                   WHERE x.status = 'open' AND x.subject_type = 'inbound_event'""",
                on="event",
            ),
        },
    )


def _of_stage(stage: str) -> str:
    return f"SELECT w.unit_id, w.stage, w.next_at FROM ledger_workitem w WHERE w.stage = '{stage}'"  # noqa: S608
