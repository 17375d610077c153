-- ledger_end_pending: what has just ended is pending no more. Each transaction is looked up by its debit account and its id,
-- whatever the plan was made for: the table has as many rows as wait now, which are few or a million. A join may begin at
-- either end, and does at the table where that was empty when it was analyzed last; LATERAL begins at what has ended. A row
-- keeps its place, as none is ever updated.
-- Locks nothing that whoever holds the work items of their units could meet.
CREATE OR REPLACE FUNCTION ledger_end_pending(p_transactions uuid[], p_debits uuid[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
SET enable_seqscan = off AS $$
BEGIN
    DELETE FROM ledger_pending WHERE ctid = ANY (ARRAY(
        SELECT listed.ctid FROM unnest(p_transactions, p_debits) AS ended (id, debit)
        CROSS JOIN LATERAL (
            SELECT p.ctid FROM ledger_pending p
            WHERE p.debit_account_id = ended.debit AND p.transaction_id = ended.id OFFSET 0
        ) listed
    ));
END $$;
