"""The counters of limits say what the rows say, and each limit is one that somebody set."""

from typing import Final

from wallet_project.utils.verification import SqlCheck

# What ledger/sql/limits.sql counts, from the rows: `out` on the day it was asked for, `in` on the day it cleared, as it
# was captured. Moves between accounts of his own count for a customer's accounts and not for the customer.
_COUNTED: Final = """
    WITH limited AS (
        SELECT l.*, a.id AS account_id, a.customer_id FROM ledger_limit l
        JOIN accounts_account a ON a.id = l.owner_id WHERE l.scope = 'account'
        UNION ALL
        SELECT l.*, a.id, a.customer_id FROM ledger_limit l
        JOIN accounts_account a ON a.customer_id = l.owner_id WHERE l.scope = 'customer'
    ), since AS (
        SELECT ((now() AT TIME ZONE 'UTC')::date - 29)::timestamp AT TIME ZONE 'UTC' AS first
    ), moved AS (
        SELECT l.owner_id, l.direction, l.currency, l.scope, l.customer_id, t.created_at AS at,
               t.credit_account_id AS other, coalesce(t.captured_amount, t.amount) AS amount
        FROM limited l JOIN ledger_transaction t ON t.debit_account_id = l.account_id AND t.currency = l.currency
        WHERE l.direction = 'out' AND t.kind IN ('transfer', 'withdrawal') AND t.status <> 'failed'
            AND t.created_at >= (SELECT first FROM since)
        UNION ALL
        SELECT l.owner_id, l.direction, l.currency, l.scope, l.customer_id, t.cleared_at, t.debit_account_id,
               coalesce(t.captured_amount, t.amount)
        FROM limited l JOIN ledger_transaction t ON t.credit_account_id = l.account_id AND t.currency = l.currency
        WHERE l.direction = 'in' AND t.kind IN ('transfer', 'deposit') AND t.status = 'cleared'
            AND t.cleared_at >= (SELECT first FROM since)
    )
    SELECT m.owner_id, m.direction, m.currency, (m.at AT TIME ZONE 'UTC')::date AS day, sum(m.amount) AS amount
    FROM moved m JOIN accounts_account other ON other.id = m.other
    WHERE m.scope = 'account' OR other.customer_id IS DISTINCT FROM m.customer_id
    GROUP BY 1, 2, 3, 4"""


def limits() -> SqlCheck:
    return SqlCheck(
        name="Limits",
        title="What counts towards a limit is what the rows say; each limit is the one that was set last",
        figures="""SELECT (SELECT count(*) FROM ledger_limit) AS limits,
                          (SELECT count(*) FROM ledger_usage) AS counters,
                          (SELECT count(*) FROM ledger_limitchange) AS changes""",
        offences={
            "a counter differs from the rows": f"""
                SELECT coalesce(u.owner_id, c.owner_id) AS owner_id, coalesce(u.direction, c.direction) AS direction,
                       coalesce(u.currency, c.currency) AS currency, coalesce(u.day, c.day) AS day,
                       u.amount AS counted, c.amount AS by_rows
                FROM (SELECT * FROM ledger_usage WHERE day > (now() AT TIME ZONE 'UTC')::date - 30) u
                FULL JOIN ({_COUNTED}) c
                    ON (c.owner_id, c.direction, c.currency, c.day) = (u.owner_id, u.direction, u.currency, u.day)
                WHERE coalesce(u.amount, 0) <> coalesce(c.amount, 0)""",  # noqa: S608
            "a counter without a limit": """
                SELECT u.owner_id, u.direction, u.currency, u.day FROM ledger_usage u
                WHERE NOT EXISTS (
                    SELECT FROM ledger_limit l
                    WHERE (l.owner_id, l.direction, l.currency) = (u.owner_id, u.direction, u.currency))""",
            "a limit that is not the one that was set last": """
                WITH last AS (
                    SELECT DISTINCT ON (owner_id, scope = 'level', direction, currency) * FROM ledger_limitchange
                    ORDER BY owner_id, scope = 'level', direction, currency, id DESC
                ), present AS (
                    SELECT owner_id, scope, direction, currency, per_transaction, per_day, per_30_days FROM ledger_limit
                    UNION ALL
                    SELECT owner_id, 'level', direction, currency, level_per_transaction, level_per_day,
                           level_per_30_days
                    FROM ledger_limit
                )
                SELECT coalesce(l.owner_id, s.owner_id) AS owner_id, coalesce(l.direction, s.direction) AS direction,
                       coalesce(l.currency, s.currency) AS currency
                FROM (SELECT * FROM present WHERE coalesce(per_transaction, per_day, per_30_days) IS NOT NULL) l
                FULL JOIN (SELECT * FROM last WHERE coalesce(per_transaction, per_day, per_30_days) IS NOT NULL) s
                    ON (s.owner_id, s.scope = 'level', s.direction, s.currency)
                        = (l.owner_id, l.scope = 'level', l.direction, l.currency)
                WHERE ROW(l.scope, l.per_transaction, l.per_day, l.per_30_days)
                    IS DISTINCT FROM ROW(s.scope, s.per_transaction, s.per_day, s.per_30_days)""",
        },
    )
