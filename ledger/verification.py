"""The ledger's part of `verify_ledger`: the invariants of DESIGN §5, each from the rows themselves and set-based."""

from collections.abc import Callable, Sequence
from typing import Final

from ledger.rails import PaymentRail
from ledger.reconciliation import BankBookCheck
from wallet_project.utils.state_paths import state_path_offences
from wallet_project.utils.verification import MAX_ROWS, Check, SqlCheck

#: Work that has been due for longer than this (in seconds) is stuck, and nobody is working on it.
LATE_SECONDS: Final = 900

_SIGNED: Final = "CASE e.direction WHEN 'credit' THEN e.amount ELSE -e.amount END"


def checks() -> Sequence[Check]:
    """Those that need nobody but the database; the bank's book is `bank_check`."""
    return [_money_adds_up(), _balances(), _never_negative(), _keys(), _paths(), _nothing_stuck()]


def bank_check(rail: Callable[[], PaymentRail]) -> Check:
    return BankBookCheck(rail)


def _money_adds_up() -> SqlCheck:
    return SqlCheck(
        name="I1",
        title="Entries of a transaction sum to zero; cleared balances of a currency sum to zero",
        figures="SELECT count(*) AS entries, count(DISTINCT transaction_id) AS transactions FROM ledger_entry",
        offences={
            "entries of a transaction do not sum to zero": f"""
                SELECT e.transaction_id, sum({_SIGNED}) AS sum, count(*) AS entries FROM ledger_entry e
                GROUP BY e.transaction_id HAVING sum({_SIGNED}) <> 0 LIMIT {MAX_ROWS}""",  # noqa: S608
            "balances of a currency do not sum to zero": """
                SELECT currency, sum(cleared) AS sum FROM accounts_account
                GROUP BY currency HAVING sum(cleared) <> 0""",
        },
    )


def _balances() -> SqlCheck:
    return SqlCheck(
        name="I2",
        title="Each account's stored balances are what its rows say; its lines have no gap and each follows the last",
        figures="""SELECT count(*) AS accounts, coalesce(sum(cleared) FILTER (WHERE kind = 'customer'), 0) AS cleared,
                          coalesce(sum(reserved), 0) AS reserved FROM accounts_account""",
        offences={
            "stored balances differ from the rows": f"""
                WITH posted AS (
                    SELECT e.account_id, sum({_SIGNED}) AS cleared, max(e.sequence) AS last, count(*) AS entries
                    FROM ledger_entry e GROUP BY e.account_id
                ), pending AS (
                    SELECT t.debit_account_id AS account_id, sum(t.amount) AS reserved FROM ledger_transaction t
                    WHERE t.status = 'pending' GROUP BY t.debit_account_id
                )
                SELECT a.id AS account_id, a.cleared, coalesce(p.cleared, 0) AS cleared_by_rows,
                       a.reserved, coalesce(r.reserved, 0) AS reserved_by_rows,
                       a.last_sequence, coalesce(p.last, 0) AS last_by_rows, coalesce(p.entries, 0) AS entries
                FROM accounts_account a
                LEFT JOIN posted p ON p.account_id = a.id LEFT JOIN pending r ON r.account_id = a.id
                WHERE a.cleared <> coalesce(p.cleared, 0)
                    OR a.reserved <> CASE a.kind WHEN 'customer' THEN coalesce(r.reserved, 0) ELSE 0 END
                    OR a.last_sequence <> coalesce(p.last, 0) OR a.last_sequence <> coalesce(p.entries, 0)
                LIMIT {MAX_ROWS}""",  # noqa: S608
            "a line does not follow the one before": f"""
                SELECT * FROM (
                    SELECT e.account_id, e.sequence, e.balance_after,
                           coalesce(lag(e.balance_after) OVER lines, 0) + {_SIGNED} AS balance_expected,
                           coalesce(lag(e.sequence) OVER lines, 0) + 1 AS sequence_expected
                    FROM ledger_entry e WINDOW lines AS (PARTITION BY e.account_id ORDER BY e.sequence)
                ) line
                WHERE balance_after <> balance_expected OR sequence <> sequence_expected LIMIT {MAX_ROWS}""",  # noqa: S608
        },
    )


def _never_negative() -> SqlCheck:
    return SqlCheck(
        name="I3",
        title="No customer account has or had less than nothing, cleared or available",
        figures="SELECT count(*) AS customer_accounts FROM accounts_account WHERE kind = 'customer'",
        offences={
            "a balance is below zero": f"""
                SELECT id AS account_id, cleared, reserved FROM accounts_account
                WHERE kind = 'customer' AND (cleared < 0 OR reserved < 0 OR cleared - reserved < 0)
                LIMIT {MAX_ROWS}""",  # noqa: S608
            "a balance was below zero": f"""
                SELECT e.account_id, e.sequence, e.balance_after FROM ledger_entry e
                JOIN accounts_account a ON a.id = e.account_id AND a.kind = 'customer'
                WHERE e.balance_after < 0 LIMIT {MAX_ROWS}""",  # noqa: S608
        },
    )


def _keys() -> SqlCheck:
    return SqlCheck(
        name="I4",
        title="Every key that was answered has its one transaction; no transaction exists that nobody asked for",
        figures="""SELECT count(*) AS keys, count(t.id) AS with_transactions FROM accounts_idempotencyclaim c
                   LEFT JOIN ledger_transaction t ON t.id = c.result_id""",
        offences={
            "a key has made nothing": f"""
                SELECT c.id AS key_id, c.operation, c.result_id FROM accounts_idempotencyclaim c
                WHERE NOT EXISTS (SELECT FROM ledger_transaction t WHERE t.id = c.result_id AND t.group_id IS NULL)
                    AND NOT EXISTS (SELECT FROM ledger_transaction t WHERE t.group_id = c.result_id)
                    AND NOT EXISTS (SELECT FROM accounts_account a WHERE a.id = c.result_id)
                LIMIT {MAX_ROWS}""",  # noqa: S608
            "a transaction without exactly one key of its initiator's": f"""
                SELECT t.id AS transaction_id, t.kind, t.initiator_id, count(c.id) AS keys FROM ledger_transaction t
                LEFT JOIN accounts_idempotencyclaim c
                    ON c.result_id = coalesce(t.group_id, t.id) AND c.principal_id = t.initiator_id
                GROUP BY t.id HAVING count(c.id) <> 1 LIMIT {MAX_ROWS}""",  # noqa: S608
            "two keys have the same result": f"""
                SELECT c.result_id, count(*) AS keys FROM accounts_idempotencyclaim c
                GROUP BY c.result_id HAVING count(*) > 1 LIMIT {MAX_ROWS}""",  # noqa: S608
        },
    )


def _paths() -> SqlCheck:
    return SqlCheck(
        name="I5",
        title="Only legal paths of states; a cleared transaction has exactly two entries, any other none",
        figures="""SELECT (SELECT count(*) FROM ledger_statechange) AS changes,
                          count(*) FILTER (WHERE status = 'pending') AS pending,
                          count(*) FILTER (WHERE status = 'cleared') AS cleared,
                          count(*) FILTER (WHERE status = 'failed') AS failed FROM ledger_transaction""",
        offences={
            **state_path_offences("ledger"),
            "a transaction with the wrong number of entries": f"""
                SELECT t.id AS transaction_id, t.status, count(e.id) AS entries FROM ledger_transaction t
                LEFT JOIN ledger_entry e ON e.transaction_id = t.id
                GROUP BY t.id HAVING count(e.id) <> CASE t.status WHEN 'cleared' THEN 2 ELSE 0 END
                LIMIT {MAX_ROWS}""",  # noqa: S608
            "an entry that is not as its transaction says": f"""
                SELECT e.id AS entry_id, e.transaction_id, e.account_id, e.amount FROM ledger_entry e
                JOIN ledger_transaction t ON t.id = e.transaction_id
                WHERE e.amount <> coalesce(t.captured_amount, t.amount)
                    OR e.account_id <>
                        CASE e.direction WHEN 'debit' THEN t.debit_account_id ELSE t.credit_account_id END
                LIMIT {MAX_ROWS}""",  # noqa: S608
        },
    )


_LATE: Final = "< now() - make_interval(secs => %(late)s)"
_ESCALATED: Final = "EXISTS (SELECT FROM ledger_escalation x WHERE x.status = 'open' AND {})"


def _nothing_stuck() -> SqlCheck:
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
            "a pending transaction that nothing works on": f"""
                SELECT t.id AS transaction_id, t.kind, t.created_at FROM ledger_transaction t
                WHERE t.status = 'pending'
                    AND NOT EXISTS (SELECT FROM ledger_workitem w WHERE w.unit_id = coalesce(t.group_id, t.id))
                LIMIT {MAX_ROWS}""",  # noqa: S608
            "work on a transaction that has ended": f"""
                SELECT w.unit_id, w.stage FROM ledger_workitem w
                WHERE NOT EXISTS (SELECT FROM ledger_transaction t
                                  WHERE coalesce(t.group_id, t.id) = w.unit_id AND t.status = 'pending')
                LIMIT {MAX_ROWS}""",  # noqa: S608
            # An officer's review is a case, which is for compliance's own check.
            "a unit that waits for nobody": f"""
                SELECT w.unit_id, w.stage, w.next_at FROM ledger_workitem w
                WHERE (w.stage IN ('screening', 'clearing') AND (w.next_at IS NULL OR w.next_at {_LATE}))
                    OR (w.stage = 'parked' AND NOT {about_the_unit})
                    OR (w.stage = 'settling' AND NOT EXISTS (
                        SELECT FROM ledger_railtransfer r JOIN ledger_transaction t ON t.id = r.transaction_id
                        WHERE coalesce(t.group_id, t.id) = w.unit_id AND r.status IN ('queued', 'submitted')))
                LIMIT {MAX_ROWS}""",  # noqa: S608
            "a bank transfer that nobody asks about": f"""
                SELECT r.id AS rail_transfer_id, r.status, r.next_at FROM ledger_railtransfer r
                WHERE r.status IN ('queued', 'submitted') AND (r.next_at IS NULL OR r.next_at {_LATE})
                    AND NOT {about_the_rail}
                LIMIT {MAX_ROWS}""",  # noqa: S608
            "a message from the bank that nobody acts on": f"""
                SELECT i.id AS event, i.kind, i.next_at, i.last_error FROM ledger_inboundevent i
                WHERE i.processed_at IS NULL AND (i.next_at IS NULL OR i.next_at {_LATE}) AND NOT {about_the_event}
                LIMIT {MAX_ROWS}""",  # noqa: S608
        },
    )
