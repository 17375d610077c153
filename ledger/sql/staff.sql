-- ledger_lock_transaction: what is to be reversed, before the accounts are locked (transactions come first, then accounts).
-- A reversal by staff is posted and cleared in one commit, so it locks both accounts itself, in id order, as clearing does;
-- the application's role may not lock the row by a statement of its own.
CREATE OR REPLACE FUNCTION ledger_lock_transaction(p_id uuid)
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT FROM ledger_transaction t WHERE t.id = p_id FOR NO KEY UPDATE
$$;
