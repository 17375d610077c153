"""I1 to I5: the books add up, and say what was asked for."""

from collections.abc import Sequence
from typing import Final

from wallet_project.utils.state_paths import state_path_offences
from wallet_project.utils.verification import SqlCheck

#: What `since` asks of new rows as well, each to be gone on with AND where it ends in conditions.
SIGNED: Final = "CASE e.direction WHEN 'credit' THEN e.amount ELSE -e.amount END"
CURRENCIES_OFF_ZERO: Final = """
    SELECT currency, sum(cleared) AS sum FROM accounts_account GROUP BY currency HAVING sum(cleared) <> 0"""
# A join of the whole with itself, which is shared out to workers; a window would be sorted by one.
LINES_THAT_DO_NOT_FOLLOW: Final = f"""
    FROM ledger_entry e
    LEFT JOIN ledger_entry before ON before.account_id = e.account_id AND before.sequence = e.sequence - 1
    WHERE ((before.id IS NULL) <> (e.sequence = 1)
        OR e.balance_after <> coalesce(before.balance_after, 0) + {SIGNED})"""
BALANCES_BELOW_ZERO: Final = """
    SELECT id AS account_id, cleared, reserved FROM accounts_account
    WHERE kind = 'customer' AND (cleared < 0 OR reserved < 0 OR cleared - reserved < 0)"""
LINES_BELOW_ZERO: Final = """
    SELECT e.account_id, e.sequence, e.balance_after FROM ledger_entry e
    JOIN accounts_account a ON a.id = e.account_id AND a.kind = 'customer'
    WHERE e.balance_after < 0"""


def checks() -> Sequence[SqlCheck]:
    return [_money_adds_up(), _balances(), _never_negative(), _keys(), _paths()]


def _money_adds_up() -> SqlCheck:
    return SqlCheck(
        name="I1",
        title="Entries of a transaction sum to zero; cleared balances of a currency sum to zero",
        figures="SELECT count(*) AS entries, count(DISTINCT transaction_id) AS transactions FROM ledger_entry",
        offences={
            "entries of a transaction do not sum to zero": f"""
                SELECT e.transaction_id, sum({SIGNED}) AS sum, count(*) AS entries FROM ledger_entry e
                GROUP BY e.transaction_id HAVING sum({SIGNED}) <> 0""",  # noqa: S608
            "balances of a currency do not sum to zero": CURRENCIES_OFF_ZERO,
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
                    SELECT e.account_id, sum({SIGNED}) AS cleared, max(e.sequence) AS last, count(*) AS entries
                    FROM ledger_entry e GROUP BY e.account_id
                ), pending AS (
                    -- What a capture has left over is released at once.
                    SELECT t.debit_account_id AS account_id, sum(coalesce(t.captured_amount, t.amount)) AS reserved
                    FROM ledger_transaction t WHERE t.status = 'pending' GROUP BY t.debit_account_id
                )
                SELECT a.id AS account_id, a.cleared, coalesce(p.cleared, 0) AS cleared_by_rows,
                       a.reserved, coalesce(r.reserved, 0) AS reserved_by_rows,
                       a.last_sequence, coalesce(p.last, 0) AS last_by_rows, coalesce(p.entries, 0) AS entries
                FROM accounts_account a
                LEFT JOIN posted p ON p.account_id = a.id LEFT JOIN pending r ON r.account_id = a.id
                WHERE a.cleared <> coalesce(p.cleared, 0)
                    OR a.reserved <> CASE a.kind WHEN 'customer' THEN coalesce(r.reserved, 0) ELSE 0 END
                    OR a.last_sequence <> coalesce(p.last, 0) OR a.last_sequence <> coalesce(p.entries, 0)""",  # noqa: S608
            # Number and sum of each account, and of what its payments say was before them, in one pass: an amount is in
            # the sums of all that came after it.
            "what was asked of an account differs from the rows": """
                SELECT a.id AS account_id, a.debits, coalesce(r.debits, 0) AS debits_by_rows,
                       a.sent, coalesce(r.sent, 0) AS sent_by_rows
                FROM accounts_account a
                LEFT JOIN (
                    SELECT t.debit_account_id AS account_id, count(*) AS debits, sum(t.debits_before) AS numbers,
                           max(t.debits_before) AS last, sum(moved.away) AS sent, sum(t.sent_before) AS sums,
                           sum(moved.away * t.debits_before) AS weighed
                    FROM ledger_transaction t
                    JOIN accounts_account d ON d.id = t.debit_account_id AND d.kind = 'customer'
                    JOIN accounts_account c ON c.id = t.credit_account_id
                    CROSS JOIN LATERAL (
                        SELECT CASE WHEN c.customer_id IS DISTINCT FROM d.customer_id THEN t.amount ELSE 0 END AS away
                    ) moved
                    WHERE t.kind <> 'fee' AND (t.failed_at IS NULL OR t.failed_at > t.created_at)
                    GROUP BY t.debit_account_id
                ) r ON r.account_id = a.id
                WHERE a.debits <> coalesce(r.debits, 0) OR a.sent <> coalesce(r.sent, 0)
                    OR r.last <> r.debits - 1 OR r.numbers <> r.debits * (r.debits - 1) / 2
                    OR r.sums <> (r.debits - 1) * r.sent - r.weighed""",
            "a line does not follow the one before": f"""
                SELECT e.account_id, e.sequence, e.balance_after,
                       coalesce(before.balance_after, 0) + {SIGNED} AS balance_expected
                {LINES_THAT_DO_NOT_FOLLOW}""",
        },
    )


def _never_negative() -> SqlCheck:
    return SqlCheck(
        name="I3",
        title="No customer account has or had less than nothing, cleared or available",
        figures="SELECT count(*) AS customer_accounts FROM accounts_account WHERE kind = 'customer'",
        offences={
            "a balance is below zero": BALANCES_BELOW_ZERO,
            "a balance was below zero": LINES_BELOW_ZERO,
        },
    )


def _keys() -> SqlCheck:
    return SqlCheck(
        name="I4",
        title="Every key that was answered has its one transaction; no transaction exists that nobody asked for",
        figures="""SELECT count(*) AS keys, count(t.id) AS with_transactions FROM accounts_idempotencyclaim c
                   LEFT JOIN ledger_transaction t ON t.id = c.result_id""",
        offences={
            # A bulk's own key stands for many, each of which has one, too. What a level's stands for, compliance knows.
            "a key has made nothing": """
                SELECT c.id AS key_id, c.operation, c.result_id FROM accounts_idempotencyclaim c
                WHERE c.operation NOT IN ('bulk', 'request_level')
                    AND NOT EXISTS (SELECT FROM ledger_transaction t WHERE t.id = c.result_id AND t.group_id IS NULL)
                    AND NOT EXISTS (SELECT FROM ledger_transaction t WHERE t.group_id = c.result_id)
                    AND NOT EXISTS (SELECT FROM accounts_account a WHERE a.id = c.result_id)
                    AND NOT EXISTS (SELECT FROM accounts_beneficiary b WHERE b.id = c.result_id)
                    AND NOT EXISTS (SELECT FROM ledger_transaction t
                                    WHERE c.operation = 'capture' AND t.id = c.result_id AND t.captured_at IS NOT NULL)
            """,
            "a transaction without exactly one key of its initiator's": """
                SELECT t.id AS transaction_id, t.kind, t.initiator_id, count(c.id) AS keys FROM ledger_transaction t
                LEFT JOIN accounts_idempotencyclaim c
                    ON c.result_id = coalesce(t.group_id, t.id) AND c.principal_id = t.initiator_id
                    AND c.operation <> 'capture'
                GROUP BY t.id HAVING count(c.id) <> 1""",
            # A hold has two: its payer's that made it, and its payee's that captured it.
            "two keys have the same result": """
                SELECT c.result_id, count(*) AS keys FROM accounts_idempotencyclaim c
                GROUP BY c.result_id, c.operation = 'capture' HAVING count(*) > 1""",
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
            **state_path_offences("ledger", besides=[("hold", "", "captured")]),
            "a transaction with the wrong number of entries": """
                SELECT t.id AS transaction_id, t.status, count(e.id) AS entries FROM ledger_transaction t
                LEFT JOIN ledger_entry e ON e.transaction_id = t.id
                GROUP BY t.id HAVING count(e.id) <> CASE t.status WHEN 'cleared' THEN 2 ELSE 0 END""",
            "an entry that is not as its transaction says": """
                SELECT e.id AS entry_id, e.transaction_id, e.account_id, e.amount FROM ledger_entry e
                LEFT JOIN ledger_transaction t ON t.id = e.transaction_id
                WHERE t.id IS NULL OR e.amount <> coalesce(t.captured_amount, t.amount)
                    OR e.account_id <>
                        CASE e.direction WHEN 'debit' THEN t.debit_account_id ELSE t.credit_account_id END""",
        },
    )
