-- Limits: what may leave or reach an account, or all accounts of a customer, per transaction, day (UTC) and rolling 30 days.
-- Counters (ledger_usage) are kept only where a limit is set, so that others pay nothing for them and no receiver is a hot
-- row. Limits, and then they, are locked after the accounts, in the order (owner, direction, currency, day).
--   out: transfers and withdrawals that have not failed, on the day they were asked for, as captured if they were
--   in:  transfers and deposits that have cleared, on the day they did
-- What a customer moves between accounts of his own counts for the accounts and not for the customer.
-- A customer's row has two limits for what goes out, that of staff and that of his level: the tighter holds.

-- ledger_count: which outgoing counters some transactions belong to, and with how much of `p_amounts` (one a transaction).
CREATE OR REPLACE FUNCTION ledger_count(p_transactions uuid[], p_amounts bigint[])
RETURNS TABLE (owner_id uuid, currency varchar, day date, amount bigint)
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT l.owner_id, l.currency, (t.created_at AT TIME ZONE 'UTC')::date, sum(moved.amount)::bigint
    FROM unnest(p_transactions, p_amounts) AS moved (id, amount)
    JOIN ledger_transaction t ON t.id = moved.id AND t.kind IN ('transfer', 'withdrawal')
    JOIN accounts_account d ON d.id = t.debit_account_id
    JOIN accounts_account c ON c.id = t.credit_account_id
    JOIN ledger_limit l ON l.owner_id IN (d.id, d.customer_id) AND l.direction = 'out' AND l.currency = t.currency
        AND (l.scope = 'account' OR c.customer_id IS DISTINCT FROM d.customer_id)
    GROUP BY 1, 2, 3
$$;

-- ledger_lock_usage: today's counters of the owners in `p_counted` [{owner_id, currency}], made where they are missing. The
-- limits are locked before them: who counts towards yesterday is still under way when today begins, and thirty days are
-- added up by both.
CREATE OR REPLACE FUNCTION ledger_lock_usage(p_direction text, p_counted jsonb, p_day date)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM FROM ledger_limit l
    WHERE l.direction = p_direction
        AND (l.owner_id, l.currency) IN (
            SELECT c.owner_id, c.currency FROM jsonb_to_recordset(p_counted) AS c (owner_id uuid, currency text))
    ORDER BY l.owner_id, l.direction, l.currency FOR NO KEY UPDATE;
    INSERT INTO ledger_usage (owner_id, direction, currency, day, amount)
    SELECT DISTINCT c.owner_id, p_direction, c.currency, p_day, 0
    FROM jsonb_to_recordset(p_counted) AS c (owner_id uuid, currency text) ORDER BY 1, 2, 3
    ON CONFLICT DO NOTHING;
    PERFORM FROM ledger_usage u
    WHERE u.direction = p_direction AND u.day = p_day
        AND (u.owner_id, u.currency) IN (
            SELECT c.owner_id, c.currency FROM jsonb_to_recordset(p_counted) AS c (owner_id uuid, currency text))
    ORDER BY u.owner_id, u.direction, u.currency, u.day FOR NO KEY UPDATE;
END $$;

-- ledger_within_limits: count `p_counted` [{owner_id, currency, largest, total}] towards the owners' limits on p_day; false,
-- with nothing counted, when one of them would be exceeded. `largest` is the largest single amount.
CREATE OR REPLACE FUNCTION ledger_within_limits(p_direction text, p_counted jsonb, p_day date)
RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_within boolean;
BEGIN
    PERFORM ledger_lock_usage(p_direction, p_counted, p_day);
    SELECT bool_and(
        c.largest <= coalesce(least(l.per_transaction, l.level_per_transaction), c.largest)
        AND used.today + c.total <= coalesce(least(l.per_day, l.level_per_day), used.today + c.total)
        AND used.in_30_days + c.total
            <= coalesce(least(l.per_30_days, l.level_per_30_days), used.in_30_days + c.total))
    INTO v_within
    FROM jsonb_to_recordset(p_counted) AS c (owner_id uuid, currency text, largest bigint, total bigint)
    JOIN ledger_limit l ON l.owner_id = c.owner_id AND l.currency = c.currency AND l.direction = p_direction
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(u.amount) FILTER (WHERE u.day = p_day), 0) AS today, coalesce(sum(u.amount), 0) AS in_30_days
        FROM ledger_usage u
        WHERE u.owner_id = c.owner_id AND u.direction = p_direction AND u.currency = c.currency
            AND u.day BETWEEN p_day - 29 AND p_day
    ) used;
    IF v_within THEN
        UPDATE ledger_usage u SET amount = u.amount + c.total
        FROM jsonb_to_recordset(p_counted) AS c (owner_id uuid, currency text, total bigint)
        WHERE u.owner_id = c.owner_id AND u.currency = c.currency AND u.direction = p_direction AND u.day = p_day;
    END IF;
    RETURN v_within;
END $$;

-- ledger_over_limit: of units that are about to clear, those that would take a receiver beyond a limit of his; the others
-- are counted. One after the other, in order of ids, for each leaves less to the next; most batches touch no limit at all.
-- All accounts are locked.
CREATE OR REPLACE FUNCTION ledger_over_limit(p_units uuid[], p_now timestamptz)
RETURNS uuid[] LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_day date := (p_now AT TIME ZONE 'UTC')::date;
    v_over uuid[] := '{}';
    v_counted jsonb;
    v_unit record;
BEGIN
    -- Whoever sets a limit locks its accounts first: none of these can get one now.
    IF NOT EXISTS (SELECT FROM ledger_limit l WHERE l.direction = 'in') THEN
        RETURN v_over;
    END IF;
    SELECT jsonb_agg(to_jsonb(counted)) INTO v_counted FROM (
        SELECT coalesce(t.group_id, t.id) AS unit_id, l.owner_id, l.currency,
               max(coalesce(t.captured_amount, t.amount)) AS largest, sum(coalesce(t.captured_amount, t.amount)) AS total
        FROM ledger_transactions_of(p_units) t
        JOIN accounts_account d ON d.id = t.debit_account_id
        JOIN accounts_account c ON c.id = t.credit_account_id
        JOIN ledger_limit l ON l.owner_id IN (c.id, c.customer_id) AND l.direction = 'in' AND l.currency = t.currency
            AND (l.scope = 'account' OR d.customer_id IS DISTINCT FROM c.customer_id)
        WHERE t.kind IN ('transfer', 'deposit')
        GROUP BY 1, 2, 3
    ) counted;
    IF v_counted IS NULL THEN
        RETURN v_over;
    END IF;
    PERFORM ledger_lock_usage('in', v_counted, v_day);
    FOR v_unit IN
        SELECT c.item ->> 'unit_id' AS id, jsonb_agg(c.item) AS counted
        FROM jsonb_array_elements(v_counted) AS c (item) GROUP BY 1 ORDER BY 1
    LOOP
        IF NOT ledger_within_limits('in', v_unit.counted, v_day) THEN
            v_over := v_over || v_unit.id::uuid;
        END IF;
    END LOOP;
    RETURN v_over;
END $$;

-- ledger_give_back: what was counted as outgoing and will not leave after all. Each transaction's debit account is locked.
CREATE OR REPLACE FUNCTION ledger_give_back(p_transactions uuid[], p_amounts bigint[])
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM FROM ledger_usage u JOIN ledger_count(p_transactions, p_amounts) c
        ON u.owner_id = c.owner_id AND u.currency = c.currency AND u.day = c.day
    WHERE u.direction = 'out'
    ORDER BY u.owner_id, u.direction, u.currency, u.day FOR NO KEY UPDATE OF u;
    UPDATE ledger_usage u SET amount = u.amount - c.amount
    FROM ledger_count(p_transactions, p_amounts) c
    WHERE u.owner_id = c.owner_id AND u.currency = c.currency AND u.day = c.day AND u.direction = 'out';
END $$;

-- ledger_set_limit: set, change or (all three null) remove a limit; logged with who and why. The scope 'level' is what the
-- customer's level allows; it leaves what staff have set as it is, and the other way round.
-- Locks: the customer, then his accounts (or the one account) in id order: nothing is posted while what counts so far is
-- added up. Raises WL001 when there is no such owner.
CREATE OR REPLACE FUNCTION ledger_set_limit(
    p_owner uuid, p_scope text, p_direction text, p_currency text, p_per_transaction bigint, p_per_day bigint,
    p_per_30_days bigint, p_actor uuid, p_reason text, p_request_id text
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_accounts uuid[];
    -- The first moment of the window, and how many lines each account had before it.
    v_from timestamptz;
    v_before bigint[];
    v_limit ledger_limit%ROWTYPE;
BEGIN
    IF p_scope IN ('customer', 'level') THEN
        PERFORM FROM accounts_customer c WHERE c.id = p_owner FOR UPDATE;
    ELSE
        PERFORM FROM accounts_account a WHERE a.id = p_owner AND a.kind = 'customer' AND a.currency = p_currency;
    END IF;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no such owner of a limit' USING ERRCODE = 'WL001', DETAIL = '{"side": "owner"}';
    END IF;
    SELECT array_agg(locked.id) INTO v_accounts FROM (
        SELECT a.id FROM accounts_account a
        WHERE CASE p_scope WHEN 'account' THEN a.id ELSE a.customer_id END = p_owner
        ORDER BY a.id FOR NO KEY UPDATE
    ) locked;
    v_from := (date_trunc('day', clock_timestamp() AT TIME ZONE 'UTC') - interval '29 days') AT TIME ZONE 'UTC';

    INSERT INTO ledger_limitchange (
        owner_id, scope, direction, currency, per_transaction, per_day, per_30_days, actor_id, reason, request_id)
    VALUES (p_owner, p_scope, p_direction, p_currency, p_per_transaction, p_per_day, p_per_30_days, p_actor, p_reason,
            p_request_id);
    DELETE FROM ledger_usage u WHERE u.owner_id = p_owner AND u.direction = p_direction AND u.currency = p_currency;
    DELETE FROM ledger_limit l WHERE l.owner_id = p_owner AND l.direction = p_direction AND l.currency = p_currency
    RETURNING l.* INTO v_limit;
    IF p_scope = 'level' THEN
        v_limit.level_per_transaction := p_per_transaction;
        v_limit.level_per_day := p_per_day;
        v_limit.level_per_30_days := p_per_30_days;
    ELSE
        v_limit.per_transaction := p_per_transaction;
        v_limit.per_day := p_per_day;
        v_limit.per_30_days := p_per_30_days;
    END IF;
    IF coalesce(v_limit.per_transaction, v_limit.per_day, v_limit.per_30_days, v_limit.level_per_transaction,
                v_limit.level_per_day, v_limit.level_per_30_days) IS NULL THEN
        RETURN;
    END IF;
    IF p_direction = 'in' THEN
        SELECT array_agg(ledger_position(a.id, v_from) ORDER BY a.ordinality) INTO v_before
        FROM unnest(v_accounts) WITH ORDINALITY AS a (id);
    END IF;
    INSERT INTO ledger_limit (owner_id, scope, direction, currency, per_transaction, per_day, per_30_days,
        level_per_transaction, level_per_day, level_per_30_days)
    VALUES (p_owner, CASE p_scope WHEN 'level' THEN 'customer' ELSE p_scope END, p_direction, p_currency,
            v_limit.per_transaction, v_limit.per_day, v_limit.per_30_days, v_limit.level_per_transaction,
            v_limit.level_per_day, v_limit.level_per_30_days);
    -- Only what counts is read, however much there was before: what left by when it was asked for, what came in by the
    -- account's lines, which are in order of time.
    INSERT INTO ledger_usage (owner_id, direction, currency, day, amount)
    SELECT p_owner, p_direction, p_currency, counted.day, sum(counted.amount)
    FROM (
        SELECT (t.created_at AT TIME ZONE 'UTC')::date AS day, coalesce(t.captured_amount, t.amount) AS amount,
               t.credit_account_id AS other_id
        FROM ledger_transaction t
        WHERE p_direction = 'out' AND t.debit_account_id = ANY (v_accounts) AND t.created_at >= v_from
            AND t.kind IN ('transfer', 'withdrawal') AND t.status <> 'failed' AND t.currency = p_currency
        UNION ALL
        SELECT (t.cleared_at AT TIME ZONE 'UTC')::date, coalesce(t.captured_amount, t.amount), t.debit_account_id
        FROM unnest(v_accounts, v_before) AS place (account_id, last)
        JOIN ledger_entry e ON e.account_id = place.account_id AND e.sequence > place.last AND e.direction = 'credit'
        JOIN ledger_transaction t ON t.id = e.transaction_id
        WHERE p_direction = 'in' AND t.kind IN ('transfer', 'deposit') AND t.currency = p_currency
    ) counted
    JOIN accounts_account other ON other.id = counted.other_id
    WHERE p_scope = 'account' OR other.customer_id IS DISTINCT FROM p_owner
    GROUP BY counted.day;
END $$;
