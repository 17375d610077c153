"""I1 to I5: the books add up, and say what was asked for."""

from collections.abc import Sequence
from typing import Final

from wallet_project.utils.fingerprints import SEEDS, of_id, of_number, seed
from wallet_project.utils.state_paths import state_path_offences, state_paths_hold
from wallet_project.utils.verification import Proof, SqlCheck

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

_NOT_ZERO: Final = "entries of a transaction do not sum to zero"
_WRONG_NUMBER: Final = "a transaction with the wrong number of entries"
_OTHERWISE: Final = "an entry that is not as its transaction says"


def _each_id_once(table: str) -> str:
    once = f"SELECT id FROM {table} GROUP BY id"  # noqa: S608 - a name of ours
    return f"(SELECT count(*) FROM {table}) = (SELECT count(*) FROM ({once}) one)"  # noqa: S608


_SIDE: Final = f"CASE direction WHEN 'debit' THEN {seed('b')} WHEN 'credit' THEN {seed('c')} ELSE {seed('d')} END"


def _side(transaction: str, account: str, side: str) -> str:
    return of_id(transaction, of_number("amount", f"{of_id(account, seed('a'))} # {side}"))


#: The entries that there are, are those that cleared transactions say: of each its debit and its credit, and no other.
_ENTRIES_HOLD: Final = Proof(
    offences=(_NOT_ZERO, _WRONG_NUMBER, _OTHERWISE),
    sql=f"""
        WITH {SEEDS}
        SELECT there.number = 2 * said.number AND there.number = there.hashed AND there.sum = said.sum
            AND {_each_id_once("ledger_transaction")}
        FROM (
            SELECT count(*) AS number, count(e.hash) AS hashed, coalesce(sum(e.hash), 0) AS sum
            FROM (
                SELECT {_side("transaction_id", "account_id", _SIDE)} AS hash FROM ledger_entry OFFSET 0
            ) e
        ) there, (
            SELECT count(*) AS number, coalesce(sum(t.debit), 0) + coalesce(sum(t.credit), 0) AS sum
            FROM (
                SELECT {_side("id", "debit_account_id", seed("b"))} AS debit,
                       {_side("id", "credit_account_id", seed("c"))} AS credit
                FROM (
                    SELECT id, debit_account_id, credit_account_id, coalesce(captured_amount, amount) AS amount
                    FROM ledger_transaction WHERE status = 'cleared' OFFSET 0
                ) cleared
            ) t
        ) said""",  # noqa: S608
)
_DIFFERENT: Final = "stored balances differ from the rows"
_NOT_AFTER: Final = "a line does not follow the one before"


def _state(account: str, sequence: str, balance: str) -> str:
    return of_number(sequence, of_number(balance, account))


#: A line leads from what an account was, its number and its balance, to what it is: so all that lines lead to, less
#: all that they come from, is what accounts are now, less where each began, which is nothing. As each line leads one
#: further, that is so only where an account's lines are one way without a gap, whose end is what it holds.
_LINES_HOLD: Final = Proof(
    offences=(_DIFFERENT, _NOT_AFTER),
    sql=f"""
        WITH {SEEDS}
        SELECT lines.number = lines.hashed AND lines.sum = accounts.sum AND accounts.number = accounts.hashed
            AND {_each_id_once("accounts_account")}
            AND NOT EXISTS (
                SELECT FROM accounts_account a
                LEFT JOIN (
                    SELECT t.debit_account_id AS account_id, sum(coalesce(t.captured_amount, t.amount)) AS reserved
                    FROM ledger_transaction t WHERE t.status = 'pending' GROUP BY t.debit_account_id
                ) r ON r.account_id = a.id
                WHERE a.reserved <> CASE a.kind WHEN 'customer' THEN coalesce(r.reserved, 0) ELSE 0 END)
        FROM (
            SELECT count(*) AS number, count(e.after + e.before::numeric) AS hashed,
                   coalesce(sum(e.after), 0) - coalesce(sum(e.before), 0) AS sum
            FROM (
                SELECT {_state("e.account", "e.sequence", "e.balance_after")} AS after,
                       {_state("e.account", "e.sequence - 1", "e.balance_after - e.change")} AS before
                FROM (
                    SELECT {of_id("e.account_id", seed("a"))} AS account, e.sequence, e.balance_after,
                           {SIGNED} AS change
                    FROM ledger_entry e OFFSET 0
                ) e OFFSET 0
            ) e
        ) lines, (
            SELECT count(*) AS number, count(a.now) AS hashed,
                   coalesce(sum(a.now), 0) - coalesce(sum(a.beginning), 0) AS sum
            FROM (
                SELECT {_state("a.account", "a.last_sequence", "a.cleared")} AS now,
                       {_state("a.account", "0::bigint", "0::bigint")} AS beginning
                FROM (
                    SELECT {of_id("id", seed("a"))} AS account, last_sequence, cleared FROM accounts_account OFFSET 0
                ) a
            ) a
        ) accounts""",  # noqa: S608
)
_NO_KEY: Final = "a transaction without exactly one key of its initiator's"
_NOTHING_MADE: Final = "a key has made nothing"
_SAME_RESULT: Final = "two keys have the same result"
#: What a key may stand for besides transactions. An operation that is missing here costs time: the proof holds nowhere,
#: and what it is a proof of is looked for.
_NOT_OF_TRANSACTIONS: Final = "('capture', 'bulk', 'request_level', 'create_account', 'add_beneficiary')"
#: The keys of transactions, each with its principal, are those that units say: a transaction by itself or a group, each
#: with its initiator. All other keys are few, and are looked at one by one.
_KEYS_HOLD: Final = Proof(
    offences=(_NO_KEY, _NOTHING_MADE, _SAME_RESULT),
    sql=f"""
        WITH {SEEDS}, others AS MATERIALIZED (
            SELECT c.operation, c.result_id FROM accounts_idempotencyclaim c WHERE c.operation IN {_NOT_OF_TRANSACTIONS}
        ), groups AS MATERIALIZED (
            SELECT DISTINCT t.group_id, t.initiator_id FROM ledger_transaction t WHERE t.group_id IS NOT NULL
        )
        SELECT (SELECT count(*) FROM accounts_idempotencyclaim)
                = keys.number + (SELECT count(*) FROM others)
            AND keys.number = singles.number + grouped.number AND keys.number = keys.hashed
            AND keys.sum = singles.sum + grouped.sum AND {_each_id_once("ledger_transaction")}
            AND NOT EXISTS (SELECT FROM groups g JOIN ledger_transaction t ON t.id = g.group_id AND t.group_id IS NULL)
            AND NOT EXISTS (SELECT FROM groups GROUP BY group_id HAVING count(*) > 1)
            AND NOT EXISTS (SELECT FROM others GROUP BY result_id, operation = 'capture' HAVING count(*) > 1)
            AND NOT EXISTS (
                SELECT FROM others c JOIN ledger_transaction t ON t.id = c.result_id AND t.group_id IS NULL
                WHERE c.operation <> 'capture')
            AND NOT EXISTS (
                SELECT FROM others c JOIN groups g ON g.group_id = c.result_id WHERE c.operation <> 'capture')
            AND NOT EXISTS (
                SELECT FROM others c
                WHERE c.operation NOT IN ('bulk', 'request_level')
                    AND NOT EXISTS (SELECT FROM ledger_transaction t WHERE t.group_id = c.result_id)
                    AND NOT EXISTS (SELECT FROM accounts_account a WHERE a.id = c.result_id)
                    AND NOT EXISTS (SELECT FROM accounts_beneficiary b WHERE b.id = c.result_id)
                    AND NOT (c.operation = 'capture' AND EXISTS (
                        SELECT FROM ledger_transaction t WHERE t.id = c.result_id AND t.captured_at IS NOT NULL)))
        FROM (
            SELECT count(*) AS number, count(c.hash) AS hashed, coalesce(sum(c.hash), 0) AS sum
            FROM (
                SELECT {of_id("result_id", of_id("principal_id", seed("a")))} AS hash FROM accounts_idempotencyclaim
                WHERE operation NOT IN {_NOT_OF_TRANSACTIONS} OFFSET 0
            ) c
        ) keys, (
            SELECT count(*) AS number, coalesce(sum({of_id("id", of_id("initiator_id", seed("a")))}), 0) AS sum
            FROM ledger_transaction WHERE group_id IS NULL
        ) singles, (
            SELECT count(*) AS number, coalesce(sum({of_id("group_id", of_id("initiator_id", seed("a")))}), 0) AS sum
            FROM groups
        ) grouped""",  # noqa: S608
)


def checks() -> Sequence[SqlCheck]:
    return [_money_adds_up(), _balances(), _never_negative(), _keys(), _paths()]


def _money_adds_up() -> SqlCheck:
    return SqlCheck(
        name="I1",
        title="Entries of a transaction sum to zero; cleared balances of a currency sum to zero",
        figures="""SELECT count(*) AS entries, count(*) FILTER (WHERE direction = 'debit') AS transactions
                   FROM ledger_entry""",
        proofs=[_ENTRIES_HOLD],
        offences={
            _NOT_ZERO: f"""
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
        proofs=[_LINES_HOLD],
        offences={
            _DIFFERENT: f"""
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
            _NOT_AFTER: f"""
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


#: What triggers see to in the place of foreign keys (transaction_refers_to_rows, key_has_its_principal).
REFERS_TO_NOTHING: Final = """
    SELECT t.id AS transaction_id, t.debit_account_id, t.credit_account_id, t.currency, t.initiator_id
    FROM ledger_transaction t
    LEFT JOIN accounts_account d ON d.id = t.debit_account_id AND d.currency = t.currency
    LEFT JOIN accounts_account c ON c.id = t.credit_account_id AND c.currency = t.currency
    LEFT JOIN accounts_principal p ON p.id = t.initiator_id
    WHERE (d.id IS NULL OR c.id IS NULL OR p.id IS NULL)"""
KEYS_OF_NOBODY: Final = """
    SELECT c.id AS key_id, c.principal_id FROM accounts_idempotencyclaim c
    WHERE NOT EXISTS (SELECT FROM accounts_principal p WHERE p.id = c.principal_id)"""


def _keys() -> SqlCheck:
    return SqlCheck(
        name="I4",
        title="Every key that was answered has its one transaction; no transaction exists that nobody asked for",
        figures="""SELECT (SELECT count(*) FROM accounts_idempotencyclaim) AS keys,
                          (SELECT count(*) FROM ledger_transaction) AS transactions""",
        proofs=[_KEYS_HOLD],
        offences={
            # A bulk's own key stands for many, each of which has one, too. What a level's stands for, compliance knows.
            _NOTHING_MADE: """
                SELECT c.id AS key_id, c.operation, c.result_id FROM accounts_idempotencyclaim c
                WHERE c.operation NOT IN ('bulk', 'request_level')
                    AND NOT EXISTS (SELECT FROM ledger_transaction t WHERE t.id = c.result_id AND t.group_id IS NULL)
                    AND NOT EXISTS (SELECT FROM ledger_transaction t WHERE t.group_id = c.result_id)
                    AND NOT EXISTS (SELECT FROM accounts_account a WHERE a.id = c.result_id)
                    AND NOT EXISTS (SELECT FROM accounts_beneficiary b WHERE b.id = c.result_id)
                    AND NOT EXISTS (SELECT FROM ledger_transaction t
                                    WHERE c.operation = 'capture' AND t.id = c.result_id AND t.captured_at IS NOT NULL)
            """,
            _NO_KEY: """
                SELECT t.id AS transaction_id, t.kind, t.initiator_id, count(c.id) AS keys FROM ledger_transaction t
                LEFT JOIN accounts_idempotencyclaim c
                    ON c.result_id = coalesce(t.group_id, t.id) AND c.principal_id = t.initiator_id
                    AND c.operation <> 'capture'
                GROUP BY t.id HAVING count(c.id) <> 1""",
            "a transaction of nobody's, or of an account that is not there or has another currency": REFERS_TO_NOTHING,
            "a key of nobody's": KEYS_OF_NOBODY,
            # A hold has two: its payer's that made it, and its payee's that captured it.
            _SAME_RESULT: """
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
        proofs=[_ENTRIES_HOLD, state_paths_hold("ledger", besides=[("hold", "", "captured")])],
        offences={
            **state_path_offences("ledger", besides=[("hold", "", "captured")]),
            "what is listed as pending is not what is": """
                SELECT coalesce(t.id, p.transaction_id) AS transaction_id, t.status,
                       p.transaction_id IS NOT NULL AS listed
                FROM (SELECT id, kind, status, debit_account_id, credit_account_id, expires_at
                      FROM ledger_transaction WHERE status = 'pending') t
                FULL JOIN ledger_pending p ON p.transaction_id = t.id
                WHERE t.id IS NULL OR p.transaction_id IS NULL
                    OR (p.debit_account_id, p.credit_account_id, p.payee_sees)
                        <> (t.debit_account_id, t.credit_account_id, t.kind = 'deposit' OR t.expires_at IS NOT NULL)""",
            _WRONG_NUMBER: """
                SELECT t.id AS transaction_id, t.status, count(e.id) AS entries FROM ledger_transaction t
                LEFT JOIN ledger_entry e ON e.transaction_id = t.id
                GROUP BY t.id HAVING count(e.id) <> CASE t.status WHEN 'cleared' THEN 2 ELSE 0 END""",
            _OTHERWISE: """
                SELECT e.id AS entry_id, e.transaction_id, e.account_id, e.amount FROM ledger_entry e
                LEFT JOIN ledger_transaction t ON t.id = e.transaction_id
                WHERE t.id IS NULL OR e.amount <> coalesce(t.captured_amount, t.amount)
                    OR e.account_id <>
                        CASE e.direction WHEN 'debit' THEN t.debit_account_id ELSE t.credit_account_id END""",
        },
    )
