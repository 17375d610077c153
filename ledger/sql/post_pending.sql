-- ledger_post_pending: a request's whole money work in one round trip.
-- Locks, in this order: the idempotency key; what is reversed; the paying customers' accounts FOR NO KEY UPDATE in id order;
-- the receiving customers' accounts FOR KEY SHARE in id order (that stops only their closing: a hot receiver stays free);
-- the counters of limits, where there are any.
-- p_legs: [{id, kind, debit, credit, amount, currency, reference, metadata, beneficiary, reverses, expires_in}], one unit,
-- all or none; expires_in (seconds) makes it a hold.
-- p_customer: whose money is asked for (a deposit's receiver, anything else's payer); null when the wallet itself asks.
-- A unit has few legs, which the planner can't see: it takes jsonb_to_recordset for a hundred rows, and would read the whole
-- table of accounts to join with them. So it is told to look each one up, and to plan once, not for each call.
-- Returns one row per leg; outcome: created | refused (recorded as failed) | replayed (the key was used before).
-- Raises, leaving no trace: WL001 no such account, WL002 account not open, WL003 currency, WL010 key used otherwise, and
-- from the trigger reversal_is_covered WL004 not to be reversed, WL005 more than is left of it.
CREATE OR REPLACE FUNCTION ledger_post_pending(
    p_principal uuid, p_customer uuid, p_key text, p_operation text, p_hash bytea, p_unit uuid, p_legs jsonb,
    p_request_id text
) RETURNS TABLE (
    outcome text, id uuid, group_id uuid, status varchar, failure varchar, created_at timestamptz, expires_at timestamptz
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
SET enable_hashjoin = off SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    v_claim accounts_idempotencyclaim%ROWTYPE;
    v_debits uuid[];
    v_credits uuid[];
    v_problem record;
    v_status text := 'pending';
    v_failure text := '';
    v_now timestamptz;
    v_counted jsonb;
BEGIN
    INSERT INTO accounts_idempotencyclaim (principal_id, key, operation, request_hash, result_id)
    VALUES (p_principal, p_key, p_operation, p_hash, p_unit)
    ON CONFLICT (principal_id, key) DO NOTHING;
    IF NOT FOUND THEN
        SELECT * INTO v_claim FROM accounts_idempotencyclaim c WHERE c.principal_id = p_principal AND c.key = p_key;
        IF v_claim.operation <> p_operation OR v_claim.request_hash <> p_hash THEN
            RAISE EXCEPTION 'idempotency_key_reused' USING ERRCODE = 'WL010';
        END IF;
        RETURN QUERY
            SELECT 'replayed', t.id, t.group_id, t.status, t.failure, t.created_at, t.expires_at
            FROM ledger_transaction t WHERE t.id = v_claim.result_id OR t.group_id = v_claim.result_id ORDER BY t.id;
        RETURN;
    END IF;

    SELECT array_agg(DISTINCT debit), array_agg(DISTINCT credit) INTO v_debits, v_credits
    FROM jsonb_to_recordset(p_legs) AS leg (debit uuid, credit uuid);
    PERFORM FROM ledger_transaction t
    WHERE t.id IN (SELECT reverses FROM jsonb_to_recordset(p_legs) AS leg (reverses uuid) WHERE reverses IS NOT NULL)
    ORDER BY t.id FOR NO KEY UPDATE;
    PERFORM FROM accounts_account a
    WHERE a.id = ANY (v_debits) AND a.kind = 'customer' ORDER BY a.id FOR NO KEY UPDATE;
    PERFORM FROM accounts_account a
    WHERE a.id = ANY (v_credits) AND a.kind = 'customer' ORDER BY a.id FOR KEY SHARE;
    -- Not the time at which it began to wait: screening's windows end with it, and would miss what came in between.
    v_now := clock_timestamp();

    -- The first reason to refuse, of all legs. What goes over a bank is between a customer and the wallet: nobody collects
    -- from another customer's account.
    SELECT reason.state, jsonb_build_object('side', reason.side, 'leg', leg.id) AS facts INTO v_problem
    FROM jsonb_to_recordset(p_legs) AS leg (id uuid, kind text, debit uuid, credit uuid, currency text)
    LEFT JOIN accounts_account d ON d.id = leg.debit
    LEFT JOIN accounts_account c ON c.id = leg.credit
    CROSS JOIN LATERAL (VALUES
        (1, 'WL001', 'debit', d.id IS NULL
            OR CASE leg.kind WHEN 'deposit' THEN d.kind <> 'system'
               ELSE p_customer IS NOT NULL AND d.customer_id IS DISTINCT FROM p_customer END),
        (2, 'WL001', 'credit', c.id IS NULL
            OR (leg.kind = 'withdrawal' AND c.kind <> 'system')
            OR (leg.kind = 'fee' AND c.purpose <> 'fees')
            OR (leg.kind IN ('transfer', 'reversal') AND p_customer IS NOT NULL AND c.kind <> 'customer')
            OR (leg.kind = 'deposit' AND p_customer IS NOT NULL AND c.customer_id IS DISTINCT FROM p_customer)),
        (3, 'WL002', 'debit', d.status <> 'open'),
        (4, 'WL002', 'credit', c.status NOT IN ('open', 'frozen')),
        (5, 'WL003', 'debit', d.currency <> leg.currency),
        (6, 'WL003', 'credit', c.currency <> leg.currency)
    ) AS reason (rank, state, side, applies)
    WHERE reason.applies
    ORDER BY reason.rank LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'leg refused' USING ERRCODE = v_problem.state, DETAIL = v_problem.facts::text;
    END IF;

    IF EXISTS (
        SELECT FROM (
            SELECT debit, sum(amount) AS needed FROM jsonb_to_recordset(p_legs) AS leg (debit uuid, amount bigint)
            GROUP BY debit
        ) n JOIN accounts_account a ON a.id = n.debit
        WHERE a.kind = 'customer' AND a.cleared - a.reserved < n.needed
    ) THEN
        v_failure := 'insufficient_funds';
    ELSE
        SELECT jsonb_agg(to_jsonb(counted)) INTO v_counted FROM (
            SELECT l.owner_id, l.currency, max(leg.amount) AS largest, sum(leg.amount) AS total
            FROM jsonb_to_recordset(p_legs) AS leg (kind text, debit uuid, credit uuid, amount bigint)
            JOIN accounts_account d ON d.id = leg.debit
            JOIN accounts_account c ON c.id = leg.credit
            JOIN ledger_limit l ON l.owner_id IN (d.id, d.customer_id) AND l.direction = 'out' AND l.currency = d.currency
                AND (l.scope = 'account' OR c.customer_id IS DISTINCT FROM d.customer_id)
            WHERE leg.kind IN ('transfer', 'withdrawal')
            GROUP BY l.owner_id, l.currency
        ) counted;
        IF v_counted IS NOT NULL
            AND NOT ledger_within_limits('out', v_counted, (v_now AT TIME ZONE 'UTC')::date) THEN
            v_failure := 'limit_exceeded';
        END IF;
    END IF;
    IF v_failure <> '' THEN
        v_status := 'failed';
    ELSE
        INSERT INTO ledger_workitem (unit_id, stage, next_at, attempts, last_error)
        VALUES (p_unit, 'screening', now(), 0, '');
    END IF;

    -- With what its account was asked for before it, by which screening's windows are read. In one statement, as the account
    -- is told of all of them at once.
    WITH leg AS MATERIALIZED (
        SELECT asked.*, d.kind AS payer, v_status = 'pending' AND d.kind = 'customer' AND asked.kind <> 'fee' AS counts,
               d.customer_id IS DISTINCT FROM c.customer_id AS leaves, d.debits, d.sent
        FROM jsonb_to_recordset(p_legs) AS asked (
            id uuid, kind text, debit uuid, credit uuid, amount bigint, currency text, reference text, metadata jsonb,
            beneficiary jsonb, reverses uuid, expires_in int)
        JOIN accounts_account d ON d.id = asked.debit
        JOIN accounts_account c ON c.id = asked.credit
    ), made AS (
        INSERT INTO ledger_transaction (
            id, kind, status, debit_account_id, credit_account_id, amount, currency, group_id, initiator_id, reference,
            metadata, beneficiary, reverses_id, failure, created_at, failed_at, expires_at, debits_before, sent_before)
        SELECT leg.id, leg.kind, v_status, leg.debit, leg.credit, leg.amount, leg.currency, nullif(p_unit, leg.id),
               p_principal, coalesce(leg.reference, ''), coalesce(leg.metadata, '{}'), leg.beneficiary, leg.reverses,
               v_failure, v_now, CASE v_status WHEN 'failed' THEN v_now END, v_now + make_interval(secs => leg.expires_in),
               leg.debits + count(*) FILTER (WHERE leg.counts) OVER earlier,
               leg.sent + coalesce(sum(leg.amount) FILTER (WHERE leg.counts AND leg.leaves) OVER earlier, 0)
        FROM leg
        WINDOW earlier AS (PARTITION BY leg.debit ORDER BY leg.id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
    ), listed AS (
        INSERT INTO ledger_pending (debit_account_id, transaction_id, credit_account_id, payee_sees)
        SELECT leg.debit, leg.id, leg.credit, leg.kind = 'deposit' OR leg.expires_in IS NOT NULL
        FROM leg WHERE v_status = 'pending'
    )
    UPDATE accounts_account a
    SET reserved = a.reserved + n.needed, debits = a.debits + n.debits, sent = a.sent + n.sent
    FROM (
        SELECT leg.debit, sum(leg.amount)::bigint AS needed, count(*) FILTER (WHERE leg.counts) AS debits,
               coalesce(sum(leg.amount) FILTER (WHERE leg.counts AND leg.leaves), 0)::bigint AS sent
        FROM leg WHERE leg.payer = 'customer' AND v_status = 'pending' GROUP BY leg.debit
    ) n
    WHERE a.id = n.debit;

    INSERT INTO ledger_statechange (machine, subject_id, from_state, to_state, actor_id, reason, request_id)
    SELECT 'transaction', leg.id, '', v_status, p_principal, v_failure, p_request_id
    FROM jsonb_to_recordset(p_legs) AS leg (id uuid);

    RETURN QUERY
        SELECT CASE v_status WHEN 'pending' THEN 'created' ELSE 'refused' END, leg.id, nullif(p_unit, leg.id), v_status::varchar,
               v_failure::varchar, v_now, v_now + make_interval(secs => leg.expires_in)
        FROM jsonb_to_recordset(p_legs) AS leg (id uuid, expires_in int) ORDER BY leg.id;
END $$;
