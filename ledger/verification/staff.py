"""What staff moved was proposed by one of them and approved by another, and posted as it was proposed."""

from wallet_project.utils.verification import SqlCheck


def two_people() -> SqlCheck:
    return SqlCheck(
        name="Staff",
        title="Money that staff moved has two people, and was posted as they agreed",
        figures="""SELECT count(*) AS adjustments, count(*) FILTER (WHERE status = 'posted') AS posted,
                          count(*) FILTER (WHERE status = 'proposed') AS proposed FROM ledger_adjustment""",
        offences={
            "posted without two people": """
                SELECT t.id AS transaction_id, t.kind, t.initiator_id FROM ledger_transaction t
                JOIN accounts_account d ON d.id = t.debit_account_id
                JOIN accounts_account c ON c.id = t.credit_account_id
                WHERE t.kind IN ('adjustment', 'withdrawal', 'reversal') AND CASE t.kind
                        WHEN 'adjustment' THEN 'customer' IN (d.kind, c.kind)
                        WHEN 'withdrawal' THEN d.kind = 'system'
                        WHEN 'reversal' THEN NOT EXISTS (
                            SELECT FROM accounts_customer p JOIN accounts_principal o ON o.user_id = p.user_id
                            WHERE p.id = d.customer_id AND o.id = t.initiator_id)
                        ELSE false END
                    AND NOT EXISTS (
                        SELECT FROM ledger_adjustment j
                        WHERE j.transaction_id = t.id AND j.status = 'posted' AND j.checker_id <> j.maker_id)""",
            "posted otherwise than they agreed": """
                SELECT j.id AS adjustment_id, j.transaction_id FROM ledger_adjustment j
                LEFT JOIN ledger_transaction t ON t.id = j.transaction_id
                WHERE (j.status = 'posted') <> (t.id IS NOT NULL)
                    OR (t.id IS NOT NULL AND
                        ROW(j.debit_account_id, j.credit_account_id, j.amount, j.currency, j.reverses_id)
                        IS DISTINCT FROM
                        ROW(t.debit_account_id, t.credit_account_id, t.amount, t.currency, t.reverses_id))""",
            "decided by who proposed it, or by nobody": """
                SELECT j.id AS adjustment_id, j.status FROM ledger_adjustment j
                WHERE j.checker_id = j.maker_id
                    OR (j.status IN ('posted', 'refused', 'declined')
                        AND (j.checker_id IS NULL OR j.decided_at IS NULL))""",
        },
    )
