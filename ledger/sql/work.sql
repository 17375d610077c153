-- Work items: claiming, and the moves between stages. Every one locks the work items first, in id order; whoever holds a
-- unit's work item is alone with its transactions. p_tokens: one lease token per unit, or null when no lease is needed
-- (a human or the bank decides); a unit whose lease has passed to somebody else is left alone and not returned.

-- Lease due units of a stage: they come back by themselves when the lease runs out. Never waits (SKIP LOCKED).
-- The queue may have been empty when it was analyzed last, and hold a million now: it is read along its index up to the
-- limit, and joined with nothing. What is told in arrays of units is looked up by `= ANY` everywhere below, for the same reason.
CREATE OR REPLACE FUNCTION ledger_claim(p_stage text, p_limit int, p_lease interval)
RETURNS TABLE (unit_id uuid, token uuid, attempts int)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off AS $$
#variable_conflict use_column
DECLARE
    v_now timestamptz := clock_timestamp();
    v_due uuid[];
BEGIN
    v_due := ARRAY(
        SELECT w.unit_id FROM ledger_workitem w
        WHERE w.stage = p_stage AND w.next_at <= v_now
        ORDER BY w.next_at LIMIT p_limit FOR NO KEY UPDATE SKIP LOCKED
    );
    RETURN QUERY
        UPDATE ledger_workitem w
        SET lease_token = gen_random_uuid(), next_at = v_now + p_lease, attempts = w.attempts + 1
        WHERE w.unit_id = ANY (v_due)
        RETURNING w.unit_id, w.lease_token, w.attempts;
END $$;

-- Lock units for the rest of the transaction, in id order; returns those that still wait, with their stage.
CREATE OR REPLACE FUNCTION ledger_lock(p_units uuid[], p_tokens uuid[])
RETURNS TABLE (unit_id uuid, stage varchar)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
SET enable_seqscan = off AS $$
#variable_conflict use_column
BEGIN
    IF p_tokens IS NULL THEN
        RETURN QUERY
            SELECT w.unit_id, w.stage FROM ledger_workitem w
            WHERE w.unit_id = ANY (p_units) ORDER BY w.unit_id FOR NO KEY UPDATE;
    ELSE
        -- By a join: to look for each unit's place in an array takes as long again for each one that is in it. And by the
        -- array, too: a join alone may begin with all that waits, where that was taken to be nothing.
        RETURN QUERY
            SELECT w.unit_id, w.stage
            FROM unnest(p_units, p_tokens) AS held (unit_id, token)
            JOIN ledger_workitem w ON w.unit_id = held.unit_id AND w.lease_token = held.token
            WHERE w.unit_id = ANY (p_units)
            ORDER BY w.unit_id FOR NO KEY UPDATE OF w;
    END IF;
END $$;

-- The transactions of units, in id order. Reads only.
CREATE OR REPLACE FUNCTION ledger_transactions_of(p_units uuid[]) RETURNS SETOF ledger_transaction
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT t.* FROM ledger_transaction t WHERE t.id = ANY (p_units) AND t.group_id IS NULL
    UNION ALL
    SELECT t.* FROM ledger_transaction t WHERE t.group_id = ANY (p_units)
$$;

-- Screened and approved: what goes over a bank waits for it, a hold for its payee, anything else for clearing. Returns the
-- approved units.
CREATE OR REPLACE FUNCTION ledger_approve(p_units uuid[], p_tokens uuid[])
RETURNS SETOF uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_units uuid[];
    v_ids uuid[];
    v_rail uuid[];
    v_banks boolean;
    v_holds boolean;
BEGIN
    SELECT array_agg(l.unit_id) INTO v_units FROM ledger_lock(p_units, p_tokens) l
    WHERE l.stage IN ('screening', 'review');
    -- The transactions are read once, for their ids and for whether the longer ways are needed at all.
    SELECT array_agg(t.id), bool_or(t.kind IN ('deposit', 'withdrawal')), bool_or(t.expires_at IS NOT NULL)
    INTO v_ids, v_banks, v_holds
    FROM (
        SELECT t.id, t.kind, t.expires_at FROM ledger_transaction t WHERE t.id = ANY (v_units) AND t.group_id IS NULL
        UNION ALL
        SELECT t.id, t.kind, t.expires_at FROM ledger_transaction t WHERE t.group_id = ANY (v_units)
    ) t;
    UPDATE ledger_transaction t SET approved_at = statement_timestamp()
    WHERE t.id = ANY (v_ids) AND t.status = 'pending' AND t.approved_at IS NULL;
    IF v_banks THEN
        WITH asked AS (
            INSERT INTO ledger_railtransfer (
                id, transaction_id, direction, key, status, attempts, next_at, bank_reference, reason, answers)
            SELECT t.id, t.id, CASE t.kind WHEN 'deposit' THEN 'collection' ELSE 'payout' END, 'wallet-' || t.id, 'queued', 0,
                   now(), '', '', '[]'
            FROM ledger_transaction t WHERE t.id = ANY (v_ids) AND t.kind IN ('deposit', 'withdrawal')
            RETURNING transaction_id
        )
        SELECT array_agg(DISTINCT coalesce(t.group_id, t.id)) INTO v_rail
        FROM asked JOIN ledger_transaction t ON t.id = asked.transaction_id;
        INSERT INTO ledger_statechange (machine, subject_id, from_state, to_state, actor_id, reason, request_id)
        SELECT 'railtransfer', r.id, '', 'queued', t.initiator_id, '', ''
        FROM ledger_transactions_of(v_rail) t JOIN ledger_railtransfer r ON r.transaction_id = t.id;
    END IF;
    IF v_banks OR v_holds THEN
        RETURN QUERY
            WITH hold AS (
                SELECT coalesce(t.group_id, t.id) AS unit_id, min(t.expires_at) AS until
                FROM ledger_transaction t WHERE t.id = ANY (v_ids) AND t.expires_at IS NOT NULL GROUP BY 1
            )
            UPDATE ledger_workitem w
            SET stage = CASE WHEN hold.unit_id IS NOT NULL THEN 'held' WHEN w.unit_id = ANY (v_rail) THEN 'settling'
                        ELSE 'clearing' END,
                next_at = CASE WHEN hold.unit_id IS NOT NULL THEN hold.until WHEN w.unit_id = ANY (v_rail) THEN NULL
                          ELSE now() END,
                lease_token = NULL, attempts = 0, last_error = ''
            FROM unnest(v_units) u (id) LEFT JOIN hold ON hold.unit_id = u.id
            WHERE w.unit_id = u.id AND w.unit_id = ANY (v_units)
            RETURNING w.unit_id;
    ELSE
        RETURN QUERY
            UPDATE ledger_workitem w
            SET stage = 'clearing', next_at = now(), lease_token = NULL, attempts = 0, last_error = ''
            WHERE w.unit_id = ANY (v_units)
            RETURNING w.unit_id;
    END IF;
END $$;

-- Whoever has paid is nobody that the lists stop, or an officer has let him through: what the bank has collected is posted.
-- Returns the units that are.
CREATE OR REPLACE FUNCTION ledger_pass_payers(p_units uuid[], p_tokens uuid[])
RETURNS SETOF uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_units uuid[];
BEGIN
    SELECT array_agg(l.unit_id) INTO v_units FROM ledger_lock(p_units, p_tokens) l WHERE l.stage IN ('payer', 'review');
    -- What waits for an officer because of a rule has not been to the bank yet.
    WITH passed AS (
        UPDATE ledger_railtransfer r SET payer_passed_at = clock_timestamp()
        FROM ledger_transactions_of(v_units) t
        WHERE r.transaction_id = t.id AND r.status = 'confirmed' AND r.payer IS NOT NULL AND r.payer_passed_at IS NULL
        RETURNING coalesce(t.group_id, t.id) AS unit_id
    )
    SELECT array_agg(DISTINCT p.unit_id) INTO v_units FROM passed p;
    RETURN QUERY
        UPDATE ledger_workitem w
        SET stage = 'clearing', next_at = now(), lease_token = NULL, attempts = 0, last_error = ''
        WHERE w.unit_id = ANY (v_units)
        RETURNING w.unit_id;
END $$;

-- Wait for an officer. The caller opens the case in the same commit.
CREATE OR REPLACE FUNCTION ledger_hold_for_review(p_units uuid[], p_tokens uuid[])
RETURNS SETOF uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RETURN QUERY
        UPDATE ledger_workitem w SET stage = 'review', next_at = NULL, lease_token = NULL, attempts = 0
        WHERE w.unit_id = ANY (ARRAY(
            SELECT l.unit_id FROM ledger_lock(p_units, p_tokens) l WHERE l.stage IN ('screening', 'payer')))
        RETURNING w.unit_id;
END $$;

-- Set aside for a human. The caller escalates in the same commit.
CREATE OR REPLACE FUNCTION ledger_park(p_units uuid[], p_error text)
RETURNS SETOF uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RETURN QUERY
        UPDATE ledger_workitem w SET stage = 'parked', next_at = NULL, lease_token = NULL, last_error = left(p_error, 500)
        WHERE w.unit_id = ANY (ARRAY(SELECT l.unit_id FROM ledger_lock(p_units, NULL) l))
        RETURNING w.unit_id;
END $$;

-- Back to where its rows say it stands: not approved -> screening; a bank still to hear from -> settling; whoever paid it in
-- still to be looked for -> payer; a hold that its payee has not captured -> held; else clearing.
CREATE OR REPLACE FUNCTION ledger_resume(p_units uuid[])
RETURNS SETOF uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_units uuid[];
BEGIN
    -- A statement of its own: the next one sees what whoever held the lock has committed.
    -- What is to be posted goes back only where the bank has named its payer late.
    SELECT array_agg(l.unit_id) INTO v_units FROM ledger_lock(p_units, NULL) l
    WHERE l.stage IN ('parked', 'settling') OR (l.stage = 'clearing' AND EXISTS (
        SELECT FROM ledger_transactions_of(ARRAY[l.unit_id]) t JOIN ledger_railtransfer r ON r.transaction_id = t.id
        WHERE r.payer IS NOT NULL AND r.payer_passed_at IS NULL));
    RETURN QUERY
        WITH standing AS (
            SELECT coalesce(t.group_id, t.id) AS unit_id, bool_and(t.approved_at IS NOT NULL) AS approved,
                   bool_or(r.status IN ('queued', 'submitted')) AS at_bank,
                   bool_or(r.payer IS NOT NULL AND r.payer_passed_at IS NULL) AS of_somebody,
                   min(t.expires_at) FILTER (WHERE t.captured_at IS NULL) AS held_until
            FROM ledger_transactions_of(v_units) t
            LEFT JOIN ledger_railtransfer r ON r.transaction_id = t.id
            GROUP BY 1
        )
        UPDATE ledger_workitem w
        SET stage = CASE WHEN NOT s.approved THEN 'screening' WHEN s.at_bank THEN 'settling'
                    WHEN s.of_somebody THEN 'payer' WHEN s.held_until IS NOT NULL THEN 'held' ELSE 'clearing' END,
            next_at = CASE WHEN NOT s.approved THEN now() WHEN s.at_bank THEN NULL ELSE coalesce(s.held_until, now()) END,
            lease_token = NULL, attempts = 0, last_error = ''
        FROM standing s WHERE w.unit_id = s.unit_id AND w.unit_id = ANY (v_units)
        RETURNING w.unit_id;
END $$;
