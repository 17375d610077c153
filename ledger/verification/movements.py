"""Groups clear all or none, holds are captured once and in time, reversals never give back more than was paid."""

from ledger.verification.waiting import LATE_SECONDS
from wallet_project.utils.verification import SqlCheck


def groups() -> SqlCheck:
    return SqlCheck(
        name="Groups",
        title="A group is approved, cleared or failed as one; a fee goes with the payment that it is for",
        figures="""SELECT count(DISTINCT group_id) AS groups, count(*) FILTER (WHERE kind = 'fee') AS fees
                   FROM ledger_transaction WHERE group_id IS NOT NULL""",
        offences={
            "a group whose transactions do not go together": """
                SELECT t.group_id, count(*) AS legs, string_agg(DISTINCT t.status, ', ') AS statuses
                FROM ledger_transaction t WHERE t.group_id IS NOT NULL GROUP BY t.group_id
                HAVING count(DISTINCT t.status) > 1 OR count(DISTINCT t.initiator_id) > 1
                    OR count(t.approved_at) NOT IN (0, count(*)) OR count(t.captured_at) NOT IN (0, count(*))
                    OR count(DISTINCT coalesce(t.expires_at, 'infinity')) > 1""",
            "a fee without the payment that it is for, or that goes elsewhere": """
                SELECT f.id AS transaction_id, f.group_id FROM ledger_transaction f
                JOIN accounts_account a ON a.id = f.credit_account_id
                WHERE f.kind = 'fee' AND (a.purpose <> 'fees' OR NOT EXISTS (
                    SELECT FROM ledger_transaction p
                    WHERE p.group_id = f.group_id AND p.kind <> 'fee' AND p.debit_account_id = f.debit_account_id))""",
        },
    )


def holds() -> SqlCheck:
    return SqlCheck(
        name="Holds",
        title="A hold has a payee who can capture it, and is captured once, in time and for no more than was held",
        parameters={"late": LATE_SECONDS},
        figures="""SELECT count(*) AS holds, count(captured_at) AS captured,
                          count(*) FILTER (WHERE status = 'pending' AND captured_at IS NULL) AS open
                   FROM ledger_transaction WHERE expires_at IS NOT NULL""",
        offences={
            "captured too late, for too much, or without being a hold": """
                SELECT t.id AS transaction_id, t.amount, t.captured_amount, t.captured_at, t.expires_at
                FROM ledger_transaction t
                WHERE (t.captured_at IS NULL) <> (t.captured_amount IS NULL) OR t.captured_amount > t.amount
                    OR (t.captured_at IS NOT NULL AND (t.expires_at IS NULL OR t.captured_at >= t.expires_at))""",
            "cleared without having been captured": """
                SELECT t.id AS transaction_id FROM ledger_transaction t
                WHERE t.expires_at IS NOT NULL AND t.captured_at IS NULL AND t.status = 'cleared'""",
            "a fee that was captured in another proportion than its payment": """
                SELECT f.id AS transaction_id, f.amount, f.captured_amount,
                       p.amount AS hold, p.captured_amount AS captured
                FROM ledger_transaction f
                JOIN ledger_transaction p ON p.group_id = f.group_id AND p.kind = 'transfer'
                WHERE f.kind = 'fee' AND f.expires_at IS NOT NULL AND f.captured_amount IS DISTINCT FROM
                    greatest(1, floor(f.amount::numeric * p.captured_amount / p.amount)) * sign(p.captured_amount)""",
            "a hold whose time is over and that still reserves": """
                SELECT t.id AS transaction_id, t.expires_at FROM ledger_transaction t
                WHERE t.failed_at IS NULL AND t.captured_at IS NULL
                    AND t.expires_at < now() - make_interval(secs => %(late)s)""",
            "a hold that nobody can capture": """
                SELECT w.unit_id, t.id AS transaction_id, a.id AS account_id, a.status
                FROM ledger_workitem w
                JOIN ledger_transaction t ON coalesce(t.group_id, t.id) = w.unit_id AND t.kind = 'transfer'
                JOIN accounts_account a ON a.id = t.credit_account_id
                WHERE w.stage = 'held' AND (a.customer_id IS NULL OR a.status NOT IN ('open', 'frozen'))""",
            "held without being a hold that waits for its payee": """
                SELECT w.unit_id, w.next_at, t.id AS transaction_id, t.expires_at, t.captured_at
                FROM ledger_workitem w JOIN ledger_transaction t ON coalesce(t.group_id, t.id) = w.unit_id
                WHERE w.stage = 'held' AND (t.expires_at IS NULL OR t.captured_at IS NOT NULL OR t.approved_at IS NULL
                                            OR w.next_at IS DISTINCT FROM t.expires_at)""",
            "approved, and not held for its payee": """
                SELECT w.unit_id, w.stage, t.id AS transaction_id
                FROM ledger_workitem w JOIN ledger_transaction t ON coalesce(t.group_id, t.id) = w.unit_id
                WHERE t.expires_at IS NOT NULL AND t.approved_at IS NOT NULL AND t.captured_at IS NULL
                    AND w.stage NOT IN ('held', 'parked')""",
        },
    )


def reversals() -> SqlCheck:
    return SqlCheck(
        name="Reversals",
        title="What was given back of a transaction is never more than was paid, and goes the same way back",
        figures="SELECT count(*) AS reversals, count(DISTINCT reverses_id) AS reversed FROM ledger_transaction "
        "WHERE reverses_id IS NOT NULL",
        offences={
            "more was given back than was paid": """
                SELECT o.id AS transaction_id, coalesce(o.captured_amount, o.amount) AS paid,
                       sum(r.amount) AS given_back
                FROM ledger_transaction r JOIN ledger_transaction o ON o.id = r.reverses_id
                WHERE r.status <> 'failed' GROUP BY o.id HAVING sum(r.amount) > coalesce(o.captured_amount, o.amount)
            """,
            "a reversal that goes another way than its transaction came": """
                SELECT r.id AS transaction_id, r.reverses_id FROM ledger_transaction r
                LEFT JOIN ledger_transaction o ON o.id = r.reverses_id
                LEFT JOIN accounts_account a ON a.id = r.debit_account_id
                -- Of millions only these are joined with anything.
                WHERE (r.kind = 'reversal' OR r.reverses_id IS NOT NULL)
                    AND ((r.kind = 'reversal') <> (r.reverses_id IS NOT NULL)
                        OR o.status <> 'cleared' OR o.currency <> r.currency
                        OR o.debit_account_id <> r.credit_account_id
                        OR (o.credit_account_id <> r.debit_account_id AND a.purpose <> 'loss'))""",
        },
    )
