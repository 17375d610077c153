"""What of I1 to I5 can be asked of the rows that came since a moment, by the number of their transaction.

Together with an audit that read all rows before, and with the chain, which holds those to what they were: a new line
follows the old one before it, and what an account holds is its last line. What it does not prove is in docs/audit.md.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from ledger.verification.books import (
    BALANCES_BELOW_ZERO,
    CURRENCIES_OFF_ZERO,
    LINES_BELOW_ZERO,
    LINES_THAT_DO_NOT_FOLLOW,
    REFERS_TO_NOTHING,
    SIGNED,
)
from wallet_project.utils.state_paths import state_path_offences_since
from wallet_project.utils.verification import Check, SqlCheck

# Keys have no number of their transaction. Their ids go up with time, near enough to stop a minute before the moment.
_NEW_KEYS: Final = """
    SELECT c.* FROM accounts_idempotencyclaim c
    WHERE c.id > coalesce((
        SELECT o.id FROM accounts_idempotencyclaim o WHERE o.created_at < %(moment)s::timestamptz - interval '1 minute'
        ORDER BY o.id DESC LIMIT 1), 0)"""


def checks(since: int, moment: datetime) -> Sequence[Check]:
    """Of what was written by transactions numbered `since` and above, which had not ended at `moment`."""
    parameters = {"since": since, "moment": moment}
    return [
        SqlCheck(
            name="I1",
            title="New entries come in pairs that sum to zero; cleared balances of a currency sum to zero",
            figures="""SELECT count(*) AS new_entries, count(DISTINCT transaction_id) AS transactions
                       FROM ledger_entry WHERE xact >= %(since)s""",
            offences=_MONEY,
            parameters=parameters,
        ),
        SqlCheck(
            name="I2",
            title="Each new line follows the one before; an account with new lines holds what the last one says",
            figures="SELECT count(DISTINCT account_id) AS accounts FROM ledger_entry WHERE xact >= %(since)s",
            offences=_BALANCES,
            parameters=parameters,
        ),
        SqlCheck(
            name="I3",
            title="No customer account has less than nothing, cleared or available, nor had since",
            figures="SELECT count(*) AS customer_accounts FROM accounts_account WHERE kind = 'customer'",
            offences=_NEGATIVE,
            parameters=parameters,
        ),
        SqlCheck(
            name="I4",
            title="Each new transaction has its one key, each new key has made something",
            figures=f"SELECT count(*) AS new_keys FROM ({_NEW_KEYS}) c",  # noqa: S608
            offences=_KEYS,
            parameters=parameters,
        ),
        SqlCheck(
            name="I5",
            title="New changes of state are legal and follow the last; what cleared since has its two entries",
            figures="SELECT count(*) AS new_changes FROM ledger_statechange WHERE xact >= %(since)s",
            offences={**state_path_offences_since("ledger", besides=[("hold", "", "captured")]), **_ENTRIES},
            parameters=parameters,
        ),
    ]


_MONEY: Final = {
    "entries of a transaction do not sum to zero": f"""
        SELECT e.transaction_id, sum({SIGNED}) AS sum, count(*) AS entries FROM ledger_entry e
        WHERE e.xact >= %(since)s
        GROUP BY e.transaction_id HAVING sum({SIGNED}) <> 0 OR count(*) <> 2""",  # noqa: S608
    "balances of a currency do not sum to zero": CURRENCIES_OFF_ZERO,
}
_BALANCES: Final = {
    "a line does not follow the one before": f"""
        SELECT e.account_id, e.sequence, e.balance_after, before.balance_after AS balance_before
        {LINES_THAT_DO_NOT_FOLLOW} AND e.xact >= %(since)s""",
    "what an account holds is not what its last line says": """
        SELECT a.id AS account_id, a.cleared, last.balance_after AS cleared_by_rows, a.last_sequence,
               last.sequence AS last_by_rows
        FROM (SELECT DISTINCT e.account_id FROM ledger_entry e WHERE e.xact >= %(since)s) touched
        JOIN accounts_account a ON a.id = touched.account_id
        CROSS JOIN LATERAL (
            SELECT e.balance_after, e.sequence FROM ledger_entry e
            WHERE e.account_id = a.id ORDER BY e.sequence DESC LIMIT 1
        ) last
        WHERE (a.cleared, a.last_sequence) <> (last.balance_after, last.sequence)""",
    "what is reserved is not what is pending": """
        SELECT a.id AS account_id, a.reserved, pending.amount AS pending FROM accounts_account a
        LEFT JOIN (
            SELECT t.debit_account_id, sum(coalesce(t.captured_amount, t.amount)) AS amount
            FROM ledger_pending p JOIN ledger_transaction t ON t.id = p.transaction_id GROUP BY t.debit_account_id
        ) pending ON pending.debit_account_id = a.id
        WHERE a.reserved <> CASE a.kind WHEN 'customer' THEN coalesce(pending.amount, 0) ELSE 0 END""",
}
_NEGATIVE: Final = {
    "a balance is below zero": BALANCES_BELOW_ZERO,
    "a balance was below zero": f"{LINES_BELOW_ZERO} AND e.xact >= %(since)s",
}
_KEYS: Final = {
    "a transaction without exactly one key of its initiator's": f"""
        WITH new_key AS MATERIALIZED ({_NEW_KEYS})
        SELECT t.id AS transaction_id, t.kind, t.initiator_id, count(c.id) AS keys FROM ledger_transaction t
        LEFT JOIN new_key c ON c.result_id = coalesce(t.group_id, t.id) AND c.principal_id = t.initiator_id
            AND c.operation <> 'capture'
        WHERE t.xact >= %(since)s GROUP BY t.id HAVING count(c.id) <> 1""",  # noqa: S608
    "a key has made nothing": f"""
        SELECT c.id AS key_id, c.operation, c.result_id FROM ({_NEW_KEYS}) c
        WHERE c.operation NOT IN ('bulk', 'request_level')
            AND NOT EXISTS (SELECT FROM ledger_transaction t WHERE t.id = c.result_id
                            AND (t.group_id IS NULL OR (c.operation = 'capture' AND t.captured_at IS NOT NULL)))
            AND NOT EXISTS (SELECT FROM ledger_transaction t WHERE t.group_id = c.result_id)
            AND NOT EXISTS (SELECT FROM accounts_account a WHERE a.id = c.result_id)
            AND NOT EXISTS (SELECT FROM accounts_beneficiary b WHERE b.id = c.result_id)""",  # noqa: S608
    "a transaction of nobody's, or of an account that is not there or has another currency": (
        f"{REFERS_TO_NOTHING} AND t.xact >= %(since)s"
    ),
    "a key of nobody's": f"""
        SELECT c.id AS key_id, c.principal_id FROM ({_NEW_KEYS}) c
        WHERE NOT EXISTS (SELECT FROM accounts_principal p WHERE p.id = c.principal_id)""",  # noqa: S608
}
_ENTRIES: Final = {
    # All that is listed, and what was made since.
    "what is listed as pending is not what is": """
        SELECT p.transaction_id, t.status, true AS listed
        FROM ledger_pending p LEFT JOIN ledger_transaction t ON t.id = p.transaction_id
        WHERE t.status IS DISTINCT FROM 'pending'
            OR (p.debit_account_id, p.credit_account_id, p.payee_sees)
                <> (t.debit_account_id, t.credit_account_id, t.kind = 'deposit' OR t.expires_at IS NOT NULL)
        UNION ALL
        SELECT t.id, t.status, false FROM ledger_transaction t
        WHERE t.xact >= %(since)s AND t.status = 'pending'
            AND NOT EXISTS (SELECT FROM ledger_pending p
                            WHERE p.debit_account_id = t.debit_account_id AND p.transaction_id = t.id)""",
    "a transaction with the wrong number of entries": """
        SELECT c.subject_id AS transaction_id, c.to_state FROM ledger_statechange c
        WHERE c.xact >= %(since)s AND c.machine = 'transaction'
            AND (SELECT count(*) FROM ledger_entry e WHERE e.transaction_id = c.subject_id)
                <> CASE WHEN (SELECT t.status FROM ledger_transaction t WHERE t.id = c.subject_id) = 'cleared'
                        THEN 2 ELSE 0 END""",
    "an entry that is not as its transaction says": """
        SELECT e.id AS entry_id, e.transaction_id, e.account_id, e.amount FROM ledger_entry e
        LEFT JOIN ledger_transaction t ON t.id = e.transaction_id
        WHERE e.xact >= %(since)s AND (t.status IS DISTINCT FROM 'cleared'
            OR e.amount <> coalesce(t.captured_amount, t.amount)
            OR e.account_id <> CASE e.direction WHEN 'debit' THEN t.debit_account_id ELSE t.credit_account_id END)""",
}
