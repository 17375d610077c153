-- Holds: money that a payer has reserved for a payee, who captures it (all or a part, once) or gives it up, until it expires.
-- Each locks the unit's work item first, so whatever races for a hold, one of them wins; then the transaction, then the
-- paying accounts. An expired hold can't be captured, even before the sweep has got to it.

-- ledger_capture: the payee takes p_amount (null: all) of a hold; the rest is released at once, and clearing follows. The
-- fee in its group is captured in proportion, rounded down, one minor unit at least.
-- With a key the same request is answered `replayed`; without one, so is a capture of what was captured.
-- Raises WL010 key used otherwise, WL030 not a payee's hold, WL031 no hold, WL032 captured before, WL033 voided,
-- WL034 expired, WL035 not held (yet), WL036 more than the hold.
CREATE OR REPLACE FUNCTION ledger_capture(
    p_principal uuid, p_customer uuid, p_key text, p_hash bytea, p_transaction uuid, p_amount bigint, p_request_id text
) RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_claim accounts_idempotencyclaim%ROWTYPE;
    v_hold ledger_transaction%ROWTYPE;
    v_unit uuid;
    v_stage text;
    v_legs uuid[];
    v_now timestamptz;
    v_amount bigint;
BEGIN
    IF p_key IS NOT NULL THEN
        INSERT INTO accounts_idempotencyclaim (principal_id, key, operation, request_hash, result_id)
        VALUES (p_principal, p_key, 'capture', p_hash, p_transaction)
        ON CONFLICT (principal_id, key) DO NOTHING;
        IF NOT FOUND THEN
            SELECT * INTO v_claim FROM accounts_idempotencyclaim c WHERE c.principal_id = p_principal AND c.key = p_key;
            IF v_claim.operation <> 'capture' OR v_claim.request_hash <> p_hash OR v_claim.result_id <> p_transaction THEN
                RAISE EXCEPTION 'idempotency_key_reused' USING ERRCODE = 'WL010';
            END IF;
            RETURN 'replayed';
        END IF;
    END IF;

    SELECT coalesce(t.group_id, t.id) INTO v_unit
    FROM ledger_transaction t JOIN accounts_account payee ON payee.id = t.credit_account_id
    WHERE t.id = p_transaction AND payee.customer_id = p_customer AND t.approved_at IS NOT NULL;
    IF v_unit IS NULL THEN
        RAISE EXCEPTION 'not a hold of this payee' USING ERRCODE = 'WL030';
    END IF;
    SELECT l.stage INTO v_stage FROM ledger_lock(ARRAY[v_unit], NULL) l;
    SELECT * INTO v_hold FROM ledger_transaction t WHERE t.id = p_transaction;
    v_now := clock_timestamp();
    v_amount := coalesce(p_amount, v_hold.amount);
    IF v_hold.expires_at IS NULL THEN
        RAISE EXCEPTION 'not a hold' USING ERRCODE = 'WL031';
    ELSIF v_hold.captured_at IS NOT NULL THEN
        IF p_key IS NULL AND v_hold.captured_amount = v_amount THEN
            RETURN 'replayed';
        END IF;
        RAISE EXCEPTION 'captured before' USING ERRCODE = 'WL032',
            DETAIL = jsonb_build_object('captured_amount', v_hold.captured_amount)::text;
    ELSIF v_hold.failure = 'voided' THEN
        RAISE EXCEPTION 'voided' USING ERRCODE = 'WL033';
    ELSIF v_hold.failure = 'expired' OR (v_hold.status = 'pending' AND v_hold.expires_at <= v_now) THEN
        RAISE EXCEPTION 'expired' USING ERRCODE = 'WL034';
    ELSIF v_stage IS DISTINCT FROM 'held' THEN
        RAISE EXCEPTION 'not held' USING ERRCODE = 'WL035';
    ELSIF v_amount > v_hold.amount THEN
        RAISE EXCEPTION 'more than the hold' USING ERRCODE = 'WL036',
            DETAIL = jsonb_build_object('amount', v_hold.amount)::text;
    END IF;

    SELECT array_agg(t.id) INTO v_legs FROM ledger_transactions_of(ARRAY[v_unit]) t;
    PERFORM FROM accounts_account a
    WHERE a.id IN (SELECT t.debit_account_id FROM ledger_transaction t WHERE t.id = ANY (v_legs)) AND a.kind = 'customer'
    ORDER BY a.id FOR NO KEY UPDATE;
    UPDATE ledger_transaction t
    SET captured_at = v_now,
        captured_amount = CASE t.id WHEN p_transaction THEN v_amount
                          ELSE greatest(1, floor(t.amount::numeric * v_amount / v_hold.amount))::bigint END
    WHERE t.id = ANY (v_legs);
    UPDATE accounts_account a SET reserved = a.reserved - rest.amount
    FROM (
        SELECT t.debit_account_id AS id, sum(t.amount - t.captured_amount)::bigint AS amount
        FROM ledger_transaction t WHERE t.id = ANY (v_legs) GROUP BY 1
    ) rest
    WHERE a.id = rest.id AND a.kind = 'customer' AND rest.amount > 0;
    PERFORM ledger_give_back(array_agg(t.id), array_agg(t.amount - t.captured_amount))
    FROM ledger_transaction t WHERE t.id = ANY (v_legs) AND t.captured_amount < t.amount;
    UPDATE ledger_workitem w SET stage = 'clearing', next_at = now(), lease_token = NULL, attempts = 0
    WHERE w.unit_id = v_unit;
    INSERT INTO ledger_statechange (machine, subject_id, from_state, to_state, actor_id, reason, request_id)
    SELECT 'hold', id, '', 'captured', p_principal, '', p_request_id FROM unnest(v_legs) id;
    RETURN 'captured';
END $$;

-- ledger_void: give a hold up. By its payee; by its payer once it has expired. What has ended is left as it is.
-- Returns the failure that it ended with: voided | expired | another. Raises WL030 not theirs, WL031 no hold,
-- WL032 captured, WL037 the payer has to wait.
CREATE OR REPLACE FUNCTION ledger_void(p_principal uuid, p_customer uuid, p_transaction uuid, p_request_id text)
RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_hold ledger_transaction%ROWTYPE;
    v_unit uuid;
    v_payee boolean;
    v_code text;
BEGIN
    SELECT coalesce(t.group_id, t.id), coalesce(payee.customer_id = p_customer AND t.approved_at IS NOT NULL, false)
    INTO v_unit, v_payee
    FROM ledger_transaction t
    JOIN accounts_account payer ON payer.id = t.debit_account_id
    JOIN accounts_account payee ON payee.id = t.credit_account_id
    WHERE t.id = p_transaction
        AND (payer.customer_id = p_customer OR (payee.customer_id = p_customer AND t.approved_at IS NOT NULL));
    IF v_unit IS NULL THEN
        RAISE EXCEPTION 'not a hold of theirs' USING ERRCODE = 'WL030';
    END IF;
    PERFORM FROM ledger_lock(ARRAY[v_unit], NULL);
    SELECT * INTO v_hold FROM ledger_transaction t WHERE t.id = p_transaction;
    IF v_hold.expires_at IS NULL THEN
        RAISE EXCEPTION 'not a hold' USING ERRCODE = 'WL031';
    ELSIF v_hold.captured_at IS NOT NULL THEN
        RAISE EXCEPTION 'captured before' USING ERRCODE = 'WL032',
            DETAIL = jsonb_build_object('captured_amount', v_hold.captured_amount)::text;
    ELSIF v_hold.status = 'failed' THEN
        RETURN v_hold.failure;
    END IF;
    v_code := CASE WHEN v_hold.expires_at <= clock_timestamp() THEN 'expired' ELSE 'voided' END;
    IF v_code = 'voided' AND NOT v_payee THEN
        RAISE EXCEPTION 'the payer has to wait' USING ERRCODE = 'WL037',
            DETAIL = jsonb_build_object('expires_at', v_hold.expires_at)::text;
    END IF;
    PERFORM ledger_fail(ARRAY[v_unit], NULL, v_code, p_principal,
                        CASE v_code WHEN 'voided' THEN 'voided by the payee' ELSE 'released after it expired' END, p_request_id);
    RETURN v_code;
END $$;

-- ledger_expire: end up to p_limit holds whose time is over, wherever they wait. Never waits (SKIP LOCKED). p_only: consider
-- just these units (a batch being halved). One that could not be ended is a person's to see to first: tried by each sweep,
-- enough of them would keep it from the others.
CREATE OR REPLACE FUNCTION ledger_expire(p_limit int, p_only uuid[], p_actor uuid, p_request_id text)
RETURNS SETOF uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_now timestamptz := clock_timestamp();
    v_units uuid[];
BEGIN
    SELECT array_agg(locked.unit_id) INTO v_units FROM (
        SELECT w.unit_id FROM ledger_workitem w
        WHERE w.unit_id = ANY (ARRAY(
            SELECT coalesce(t.group_id, t.id) FROM ledger_transaction t
            -- A hold is pending while it was neither captured nor failed, and is found by that (transaction_hold_expiry).
            WHERE t.failed_at IS NULL AND t.captured_at IS NULL AND t.expires_at <= v_now
                AND (p_only IS NULL OR coalesce(t.group_id, t.id) = ANY (p_only))
                -- One row a unit: the fee goes with its hold.
                AND t.kind <> 'fee'
                AND NOT EXISTS (
                    SELECT FROM ledger_escalation e
                    WHERE e.kind = 'poisoned_unit' AND e.subject_id = t.id::text AND e.status = 'open'
                        AND e.details ->> 'at' = 'expiry')
            ORDER BY t.expires_at LIMIT p_limit))
        FOR NO KEY UPDATE SKIP LOCKED
    ) locked;
    -- A statement of its own: it sees what was captured before the lock was had.
    SELECT array_agg(DISTINCT coalesce(t.group_id, t.id)) INTO v_units FROM ledger_transactions_of(v_units) t
    WHERE t.status = 'pending' AND t.captured_at IS NULL;
    RETURN QUERY SELECT * FROM ledger_fail(v_units, NULL, 'expired', p_actor, 'its time was over', p_request_id);
END $$;
