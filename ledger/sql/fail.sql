-- ledger_fail: pending units end as failed, for good; what they had reserved is available again.
-- Locks: work items, then rail transfers, then the paying accounts FOR NO KEY UPDATE, then counters of limits, each in order.
-- A unit that the bank may have (a submitted rail transfer) is left alone and not returned; only the bank ends that. So is
-- a deposit that the bank has collected, until that money has been booked elsewhere (ledger.steps.divert_to_suspense).
-- Returns the units that failed.
CREATE OR REPLACE FUNCTION ledger_fail(
    p_units uuid[], p_tokens uuid[], p_code text, p_actor uuid, p_reason text, p_request_id text
) RETURNS SETOF uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_units uuid[];
    v_txs uuid[];
    v_now timestamptz;
BEGIN
    SELECT array_agg(l.unit_id) INTO v_units FROM ledger_lock(p_units, p_tokens) l;
    PERFORM FROM ledger_railtransfer r
    WHERE r.transaction_id IN (SELECT t.id FROM ledger_transactions_of(v_units) t) ORDER BY r.id FOR NO KEY UPDATE;
    SELECT array_agg(u) INTO v_units FROM unnest(v_units) u
    WHERE u NOT IN (
        SELECT coalesce(t.group_id, t.id)
        FROM ledger_transactions_of(v_units) t JOIN ledger_railtransfer r ON r.transaction_id = t.id
        WHERE r.status = 'submitted'
            OR (r.status = 'confirmed' AND (t.kind = 'withdrawal' OR NOT EXISTS (
                SELECT FROM accounts_idempotencyclaim c JOIN accounts_principal p ON p.id = c.principal_id
                WHERE p.kind = 'system' AND c.key = 'bank-payment-' || r.key))));
    SELECT array_agg(t.id) INTO v_txs FROM ledger_transactions_of(v_units) t WHERE t.status = 'pending';
    IF v_txs IS NULL THEN
        RETURN;
    END IF;

    WITH called_off AS (
        UPDATE ledger_railtransfer r SET status = 'cancelled', next_at = NULL, lease_token = NULL, ended_at = now()
        WHERE r.transaction_id = ANY (v_txs) AND r.status = 'queued'
        RETURNING r.id
    )
    INSERT INTO ledger_statechange (machine, subject_id, from_state, to_state, actor_id, reason, request_id)
    SELECT 'railtransfer', id, 'queued', 'cancelled', p_actor, p_reason, p_request_id FROM called_off;

    PERFORM FROM accounts_account a
    WHERE a.id IN (SELECT t.debit_account_id FROM ledger_transaction t WHERE t.id = ANY (v_txs)) AND a.kind = 'customer'
    ORDER BY a.id FOR NO KEY UPDATE;
    UPDATE accounts_account a SET reserved = a.reserved - released.amount
    FROM (
        SELECT t.debit_account_id AS id, sum(coalesce(t.captured_amount, t.amount))::bigint AS amount FROM ledger_transaction t
        WHERE t.id = ANY (v_txs) GROUP BY 1
    ) released
    WHERE a.id = released.id AND a.kind = 'customer';
    PERFORM ledger_give_back(array_agg(t.id), array_agg(coalesce(t.captured_amount, t.amount)))
    FROM ledger_transaction t WHERE t.id = ANY (v_txs);

    -- Now that the accounts are locked: the time from which on the funds are available again.
    v_now := clock_timestamp();
    UPDATE ledger_transaction t
    SET status = 'failed', failure = p_code, failed_at = v_now, waited = ledger_wait(t.created_at, NULL, v_now)
    WHERE t.id = ANY (v_txs);
    PERFORM ledger_end_pending(array_agg(t.id), array_agg(t.debit_account_id))
    FROM ledger_transaction t WHERE t.id = ANY (v_txs);
    INSERT INTO ledger_statechange (machine, subject_id, from_state, to_state, actor_id, reason, request_id)
    SELECT 'transaction', id, 'pending', 'failed', p_actor, p_reason, p_request_id FROM unnest(v_txs) id;
    RETURN QUERY DELETE FROM ledger_workitem w WHERE w.unit_id = ANY (v_units) RETURNING w.unit_id;
END $$;
