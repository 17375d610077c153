-- ledger_post_many: many units in one round trip, each as ledger_post_pending would have posted it, one after the other.
-- Locks, in the same order as there: the idempotency keys, by (principal, key); all paying customers' accounts FOR NO KEY
-- UPDATE and all receiving ones FOR KEY SHARE, each in id order in one statement; the counters of limits.
-- p_legs: [{place, principal, customer, key, operation, hash, unit, request_id, id, kind, debit, credit, amount, currency,
-- reference, metadata, beneficiary, expires_in}], a unit's legs share its place (from 1, without a gap). Only what customers
-- ask for: what the wallet itself moves, and what reverses something, is posted alone.
-- p_whole: {principal, key, operation, hash, result}, a key that is claimed for all of them together; or null. It stays free
-- when no unit gets as far as to claim its own.
-- p_all_or_none: what is not accepted, or was not when its key was used before, refuses all.
-- Returns one row per unit, in no order; outcome:
--   created  | refused (recorded as failed, `reason` is the failure)
--   replayed (its key was used before, for `result_id`)
--   rejected (left no trace; `reason` is the SQLSTATE that ledger_post_pending raises, `facts` its facts)
-- `result_id` is told where it is news. What is recorded has one time, told with the first of it: to read it a thousand times
-- is work for the caller. Where a key stands twice, one of the two claims it, and it is the answer to the other.
-- Raises, leaving no trace of any: WL011 an account was closed or frozen while the locks were waited for, WL012 the whole's
-- key was used before, and of all or none WL013 some are not accepted: DETAIL has [{place, reason, side}] of each.
CREATE TYPE ledger_asked AS (
    place int, principal uuid, customer uuid, key text, operation text, hash text, unit uuid, request_id text,
    id uuid, kind text, debit uuid, credit uuid, amount bigint, currency text, reference text, metadata jsonb,
    beneficiary jsonb, expires_in int);
CREATE TYPE ledger_reason AS (place int, state text, side text, leg uuid);

-- ledger_reasons: the first reason, of all its legs, to refuse a unit; the same reasons as in ledger_post_pending.
-- This one and the next become part of the statement that asks them, as they set nothing for themselves.
CREATE OR REPLACE FUNCTION ledger_reasons(p_legs ledger_asked[]) RETURNS SETOF ledger_reason LANGUAGE sql STABLE AS $$
    SELECT DISTINCT ON (found.place) found.place,
           CASE WHEN found.rank <= 2 THEN 'WL001' WHEN found.rank <= 4 THEN 'WL002' ELSE 'WL003' END,
           CASE found.rank % 2 WHEN 1 THEN 'debit' ELSE 'credit' END, found.id
    FROM (
        SELECT leg.place, leg.id, CASE
            WHEN leg.customer IS NULL OR leg.kind NOT IN ('deposit', 'withdrawal', 'transfer', 'fee') OR d.id IS NULL
                OR CASE leg.kind WHEN 'deposit' THEN d.kind <> 'system'
                   ELSE d.customer_id IS DISTINCT FROM leg.customer END THEN 1
            WHEN c.id IS NULL
                OR (leg.kind = 'withdrawal' AND c.kind <> 'system')
                OR (leg.kind = 'fee' AND c.purpose <> 'fees')
                OR (leg.kind = 'transfer' AND c.kind <> 'customer')
                OR (leg.kind = 'deposit' AND c.customer_id IS DISTINCT FROM leg.customer) THEN 2
            WHEN d.status <> 'open' THEN 3
            WHEN c.status NOT IN ('open', 'frozen') THEN 4
            WHEN d.currency <> leg.currency THEN 5
            WHEN c.currency <> leg.currency THEN 6
        END AS rank
        FROM unnest(p_legs) AS leg
        LEFT JOIN accounts_account d ON d.id = leg.debit
        LEFT JOIN accounts_account c ON c.id = leg.credit
    ) found
    WHERE found.rank IS NOT NULL
    ORDER BY found.place, found.rank, found.id
$$;

-- ledger_answered: the units whose key was used before, and what for. `state` is WL010 where that was something else.
CREATE OR REPLACE FUNCTION ledger_answered(p_legs ledger_asked[])
RETURNS TABLE (place int, state text, result_id uuid) LANGUAGE sql STABLE AS $$
    SELECT DISTINCT ON (leg.place) leg.place,
           CASE WHEN c.operation = leg.operation AND c.request_hash = decode(leg.hash, 'hex') THEN '' ELSE 'WL010' END,
           c.result_id
    FROM unnest(p_legs) AS leg
    JOIN accounts_idempotencyclaim c ON c.principal_id = leg.principal AND c.key = leg.key
    ORDER BY leg.place
$$;

-- ledger_unfunded: which units do not go through, by place: 0 it does, 1 funds, 2 a limit. Those that ask an account for more
-- than it has, and those that a limit is about, are taken in order, so that a smaller one may still fit. All accounts are locked.
CREATE OR REPLACE FUNCTION ledger_unfunded(p_legs ledger_asked[], p_units int, p_day date)
RETURNS int[] LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_failed int[] := array_fill(0, ARRAY[p_units]);
    v_left bigint[] := '{}';
    v_counted jsonb;
    v_unit record;
    v_fits boolean;
BEGIN
    SELECT jsonb_agg(to_jsonb(counted)) INTO v_counted FROM (
        SELECT leg.place, l.owner_id, l.currency, max(leg.amount) AS largest, sum(leg.amount) AS total
        FROM unnest(p_legs) AS leg
        JOIN accounts_account d ON d.id = leg.debit
        JOIN accounts_account c ON c.id = leg.credit
        JOIN ledger_limit l ON l.owner_id IN (d.id, d.customer_id) AND l.direction = 'out' AND l.currency = d.currency
            AND (l.scope = 'account' OR c.customer_id IS DISTINCT FROM d.customer_id)
        WHERE leg.kind IN ('transfer', 'withdrawal')
        GROUP BY 1, 2, 3
    ) counted;
    IF v_counted IS NOT NULL THEN
        PERFORM ledger_lock_usage('out', v_counted, p_day);
    END IF;
    FOR v_unit IN
        SELECT todo.place, array_agg(todo.number) FILTER (WHERE todo.number IS NOT NULL) AS numbers,
               array_agg(todo.needed) FILTER (WHERE todo.number IS NOT NULL) AS needs,
               array_agg(todo.available) FILTER (WHERE todo.number IS NOT NULL) AS there,
               jsonb_agg(todo.counted) FILTER (WHERE todo.counted IS NOT NULL) AS counted
        FROM (
            SELECT asked.place, asked.number, asked.needed, asked.available, NULL::jsonb AS counted
            FROM (
                SELECT need.place, need.needed, need.available, sum(need.needed) OVER (PARTITION BY need.debit) AS total,
                       dense_rank() OVER (ORDER BY need.debit) AS number
                FROM (
                    SELECT leg.place, leg.debit, sum(leg.amount)::bigint AS needed, min(a.cleared - a.reserved) AS available
                    FROM unnest(p_legs) AS leg JOIN accounts_account a ON a.id = leg.debit AND a.kind = 'customer'
                    GROUP BY 1, 2
                ) need
            ) asked
            WHERE asked.total > asked.available
            UNION ALL
            SELECT (item ->> 'place')::int, NULL, NULL, NULL, item FROM jsonb_array_elements(v_counted) AS item
        ) todo
        GROUP BY todo.place ORDER BY todo.place
    LOOP
        v_fits := true;
        FOR i IN 1 .. coalesce(cardinality(v_unit.numbers), 0) LOOP
            v_left[v_unit.numbers[i]] := coalesce(v_left[v_unit.numbers[i]], v_unit.there[i]);
            v_fits := v_fits AND v_unit.needs[i] <= v_left[v_unit.numbers[i]];
        END LOOP;
        IF NOT v_fits THEN
            v_failed[v_unit.place] := 1;
        ELSIF v_unit.counted IS NOT NULL AND NOT ledger_within_limits('out', v_unit.counted, p_day) THEN
            v_failed[v_unit.place] := 2;
        ELSE
            FOR i IN 1 .. coalesce(cardinality(v_unit.numbers), 0) LOOP
                v_left[v_unit.numbers[i]] := v_left[v_unit.numbers[i]] - v_unit.needs[i];
            END LOOP;
        END IF;
    END LOOP;
    RETURN v_failed;
END $$;

-- ledger_refuse_all: raise WL013 where a unit is refused, or was when its key was used before, or where that was something
-- else. Of a unit the first reason is told.
CREATE OR REPLACE FUNCTION ledger_refuse_all(p_refused ledger_reason[], p_before ledger_asked[])
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_told jsonb;
BEGIN
    SELECT jsonb_agg(to_jsonb(told) ORDER BY told.place) INTO v_told FROM (
        SELECT DISTINCT ON (all_of_them.place) all_of_them.place, all_of_them.reason, all_of_them.side FROM (
            SELECT refused.place, refused.state AS reason, refused.side, 1 AS rank FROM unnest(p_refused) AS refused
            UNION ALL
            SELECT answered.place, answered.state, NULL, 2 FROM ledger_answered(p_before) AS answered
            WHERE answered.state <> ''
            UNION ALL
            SELECT answered.place, t.failure, NULL, 3 FROM ledger_answered(p_before) AS answered
            JOIN ledger_transaction t ON t.id = answered.result_id OR t.group_id = answered.result_id
            WHERE answered.state = '' AND t.failure IN ('insufficient_funds', 'limit_exceeded')
        ) all_of_them ORDER BY 1, all_of_them.rank, all_of_them.reason COLLATE "C"
    ) told;
    IF v_told IS NOT NULL THEN
        RAISE EXCEPTION 'not all are accepted' USING ERRCODE = 'WL013', DETAIL = v_told::text;
    END IF;
END $$;

CREATE OR REPLACE FUNCTION ledger_post_many(p_legs json, p_whole jsonb, p_all_or_none boolean)
RETURNS TABLE (place int, outcome text, reason text, facts jsonb, result_id uuid, created_at timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
-- Plans are made once, and perhaps when tables were empty: whatever is looked up is looked up by its index.
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    v_legs ledger_asked[];
    v_before ledger_asked[] := '{}';
    v_reasons ledger_reason[];
    v_refused ledger_reason[] := '{}';
    v_claimed uuid[];
    v_last int;
    v_units int;
    v_debits uuid[];
    v_credits uuid[];
    v_payers_open boolean;
    v_payees_open boolean;
    v_failed int[];
    v_now timestamptz;
BEGIN
    IF p_whole IS NOT NULL THEN
        IF EXISTS (
            SELECT FROM accounts_idempotencyclaim c
            WHERE c.principal_id = (p_whole ->> 'principal')::uuid AND c.key = p_whole ->> 'key'
        ) THEN
            RAISE EXCEPTION 'the whole was asked for before' USING ERRCODE = 'WL012';
        END IF;
    END IF;
    SELECT array_agg(leg), max(leg.place) INTO v_legs, v_last FROM json_populate_recordset(NULL::ledger_asked, p_legs) AS leg;
    v_units := v_last;

    -- What leaves no trace claims no key, so it is looked for before any. Where its key was used before, that is the answer,
    -- whatever has become of its accounts since; and who has seen them as they are now sees each key that was used under the
    -- locks before they changed.
    v_reasons := ARRAY(SELECT reason FROM ledger_reasons(v_legs) AS reason);
    IF cardinality(v_reasons) > 0 THEN
        v_before := ARRAY(
            SELECT leg FROM unnest(v_legs) AS leg WHERE leg.place IN (SELECT reason.place FROM unnest(v_reasons) AS reason));
        v_legs := ARRAY(
            SELECT leg FROM unnest(v_legs) AS leg
            WHERE leg.place NOT IN (SELECT reason.place FROM unnest(v_reasons) AS reason));
        v_refused := ARRAY(
            SELECT reason FROM unnest(v_reasons) AS reason
            WHERE reason.place NOT IN (SELECT answered.place FROM ledger_answered(v_before) AS answered));
        v_before := ARRAY(
            SELECT leg FROM unnest(v_before) AS leg
            WHERE leg.place NOT IN (SELECT refused.place FROM unnest(v_refused) AS refused));
        v_units := v_last - cardinality(v_reasons);
    END IF;
    v_reasons := '{}';

    -- The legs of a unit have one key, which the first of them claims.
    IF v_units > 0 THEN
        WITH claimed AS (
            INSERT INTO accounts_idempotencyclaim (principal_id, key, operation, request_hash, result_id)
            SELECT leg.principal, leg.key, leg.operation, decode(leg.hash, 'hex'), leg.unit FROM unnest(v_legs) AS leg
            UNION ALL
            SELECT w.principal, w.key, w.operation, decode(w.hash, 'hex'), w.result
            FROM jsonb_to_record(p_whole) AS w (principal uuid, key text, operation text, hash text, result uuid)
            WHERE p_whole IS NOT NULL
            ORDER BY 1, 2
            ON CONFLICT (principal_id, key) DO NOTHING RETURNING result_id
        )
        SELECT coalesce(array_agg(result_id), '{}') INTO v_claimed FROM claimed;
        IF cardinality(v_claimed) < v_units + (p_whole IS NOT NULL)::int THEN
            IF p_whole IS NOT NULL AND (p_whole ->> 'result')::uuid <> ALL (v_claimed) THEN
                RAISE EXCEPTION 'the whole was asked for before' USING ERRCODE = 'WL012';
            END IF;
            v_before := v_before || ARRAY(SELECT leg FROM unnest(v_legs) AS leg WHERE leg.unit <> ALL (v_claimed));
            v_legs := ARRAY(SELECT leg FROM unnest(v_legs) AS leg WHERE leg.unit = ANY (v_claimed));
        END IF;
    END IF;

    IF cardinality(v_legs) > 0 THEN
        SELECT array_agg(leg.debit), array_agg(leg.credit) INTO v_debits, v_credits FROM unnest(v_legs) AS leg;
        -- What they return is as it stands once it is locked.
        SELECT bool_and(locked.status = 'open') INTO v_payers_open FROM (
            SELECT a.status FROM accounts_account a
            WHERE a.id = ANY (v_debits) AND a.kind = 'customer' ORDER BY a.id FOR NO KEY UPDATE
        ) locked;
        SELECT bool_and(locked.status IN ('open', 'frozen')) INTO v_payees_open FROM (
            SELECT a.status FROM accounts_account a
            WHERE a.id = ANY (v_credits) AND a.kind = 'customer' ORDER BY a.id FOR KEY SHARE
        ) locked;
        -- Not the time at which it began to wait: screening's windows end with it, and would miss what came in between.
        v_now := clock_timestamp();
        IF NOT (v_payers_open AND v_payees_open) THEN
            v_reasons := ARRAY(SELECT reason FROM ledger_reasons(v_legs) AS reason);
            IF cardinality(v_reasons) > 0 AND NOT p_all_or_none THEN
                RAISE EXCEPTION 'an account has changed meanwhile' USING ERRCODE = 'WL011';
            END IF;
        END IF;
        v_failed := array_fill(0, ARRAY[v_last]);
        IF EXISTS (
            SELECT FROM (SELECT leg.debit, sum(leg.amount) AS needed FROM unnest(v_legs) AS leg GROUP BY leg.debit) asked
            JOIN accounts_account d ON d.id = asked.debit
            WHERE (d.kind = 'customer' AND d.cleared - d.reserved < asked.needed)
                OR EXISTS (SELECT FROM ledger_limit l WHERE l.owner_id IN (d.id, d.customer_id) AND l.direction = 'out')
        ) THEN
            v_failed := ledger_unfunded(v_legs, v_last, (v_now AT TIME ZONE 'UTC')::date);
        END IF;
    END IF;

    IF p_all_or_none THEN
        PERFORM ledger_refuse_all(
            v_refused || v_reasons || ARRAY(
                SELECT ROW(unfunded.place, CASE unfunded.failed WHEN 1 THEN 'insufficient_funds' ELSE 'limit_exceeded' END,
                           NULL, NULL)::ledger_reason
                FROM unnest(v_failed) WITH ORDINALITY AS unfunded (failed, place) WHERE unfunded.failed <> 0),
            v_before);
    END IF;
    IF cardinality(v_refused) > 0 OR cardinality(v_before) > 0 THEN
        RETURN QUERY
            SELECT refused.place, 'rejected', refused.state, jsonb_build_object('side', refused.side, 'leg', refused.leg),
                   NULL::uuid, NULL::timestamptz
            FROM unnest(v_refused) AS refused
            UNION ALL
            SELECT answered.place, CASE answered.state WHEN '' THEN 'replayed' ELSE 'rejected' END, answered.state, NULL,
                   answered.result_id, NULL
            FROM ledger_answered(v_before) AS answered;
    END IF;
    IF cardinality(v_legs) = 0 THEN
        RETURN;
    END IF;

    -- In one statement, as in ledger_post_pending: the account is told of all of them at once.
    RETURN QUERY
        WITH leg AS MATERIALIZED (
            SELECT asked.*, d.kind AS payer, v_failed[asked.place] AS failed,
                   CASE v_failed[asked.place] WHEN 0 THEN 'pending' ELSE 'failed' END AS status,
                   CASE v_failed[asked.place] WHEN 0 THEN '' WHEN 1 THEN 'insufficient_funds' ELSE 'limit_exceeded' END
                       AS failure,
                   v_failed[asked.place] = 0 AND d.kind = 'customer' AND asked.kind <> 'fee' AS counts,
                   d.customer_id IS DISTINCT FROM c.customer_id AS leaves, d.debits, d.sent
            FROM unnest(v_legs) AS asked
            JOIN accounts_account d ON d.id = asked.debit
            JOIN accounts_account c ON c.id = asked.credit
        ), made AS (
            INSERT INTO ledger_transaction (
                id, kind, status, debit_account_id, credit_account_id, amount, currency, group_id, initiator_id, reference,
                metadata, beneficiary, failure, created_at, failed_at, expires_at, debits_before, sent_before)
            SELECT leg.id, leg.kind, leg.status, leg.debit, leg.credit, leg.amount, leg.currency, nullif(leg.unit, leg.id),
                   leg.principal, coalesce(leg.reference, ''), coalesce(leg.metadata, '{}'), leg.beneficiary, leg.failure,
                   v_now, CASE WHEN leg.failed <> 0 THEN v_now END, v_now + make_interval(secs => leg.expires_in),
                   leg.debits + count(*) FILTER (WHERE leg.counts) OVER earlier,
                   leg.sent + coalesce(sum(leg.amount) FILTER (WHERE leg.counts AND leg.leaves) OVER earlier, 0)
            FROM leg
            WINDOW earlier AS (
                PARTITION BY leg.debit ORDER BY leg.place, leg.id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
        ), listed AS (
            INSERT INTO ledger_pending (debit_account_id, transaction_id, credit_account_id, payee_sees)
            SELECT leg.debit, leg.id, leg.credit, leg.kind = 'deposit' OR leg.expires_in IS NOT NULL
            FROM leg WHERE leg.failed = 0
        ), reserved AS (
            UPDATE accounts_account a
            SET reserved = a.reserved + n.needed, debits = a.debits + n.debits, sent = a.sent + n.sent
            FROM (
                SELECT leg.debit, sum(leg.amount)::bigint AS needed, count(*) FILTER (WHERE leg.counts) AS debits,
                       coalesce(sum(leg.amount) FILTER (WHERE leg.counts AND leg.leaves), 0)::bigint AS sent
                FROM leg WHERE leg.payer = 'customer' AND leg.failed = 0 GROUP BY leg.debit
            ) n
            WHERE a.id = n.debit
        ), queued AS (
            INSERT INTO ledger_workitem (unit_id, stage, next_at, attempts, last_error)
            SELECT DISTINCT leg.unit, 'screening', now(), 0, '' FROM leg WHERE leg.failed = 0
        ), logged AS (
            INSERT INTO ledger_statechange (machine, subject_id, from_state, to_state, actor_id, reason, request_id)
            SELECT 'transaction', leg.id, '', leg.status, leg.principal, leg.failure, leg.request_id FROM leg
        )
        SELECT DISTINCT leg.place, CASE leg.failed WHEN 0 THEN 'created' ELSE 'refused' END, leg.failure, NULL::jsonb,
               NULL::uuid, CASE leg.place WHEN (v_legs[1]).place THEN v_now END
        FROM leg;
END $$;
