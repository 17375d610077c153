-- ledger_end_pending: what has just ended is pending no more. Each transaction is looked up by its debit account and its id,
-- whatever the plan was made for: the table has as many rows as wait now, which are few or a million.
-- Locks nothing that whoever holds the work items of their units could meet.
CREATE OR REPLACE FUNCTION ledger_end_pending(p_transactions uuid[], p_debits uuid[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    DELETE FROM ledger_pending p USING unnest(p_transactions, p_debits) AS ended (id, debit)
    WHERE p.debit_account_id = ended.debit AND p.transaction_id = ended.id;
END $$;
