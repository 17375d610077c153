-- ledger_is_done: what has cleared is pending no more, waits for nothing, and stands in the log. Has nothing to do with accounts.
CREATE OR REPLACE FUNCTION ledger_is_done(
    p_txs uuid[], p_debits uuid[], p_units uuid[], p_actor uuid, p_request_id text
) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM ledger_end_pending(p_txs, p_debits);
    DELETE FROM ledger_workitem w WHERE w.unit_id = ANY (p_units);
    INSERT INTO ledger_statechange (machine, subject_id, from_state, to_state, actor_id, reason, request_id)
    SELECT 'transaction', id, 'pending', 'cleared', p_actor, '', p_request_id FROM unnest(p_txs) id;
END $$;

-- Both sides of a transaction. `place`: of its account among all of them, in id order. The others are of the account's sides
-- up to this one, in id order of transactions: how many, what they change and what they release; `ends`: it is the last one.
CREATE TYPE ledger_side AS (
    transaction_id uuid, account_id uuid, direction text, amount bigint, place int, number bigint, change bigint,
    released bigint, ends boolean);

-- ledger_sides: of transactions, by position, in order of accounts. Reads no rows.
CREATE OR REPLACE FUNCTION ledger_sides(p_txs uuid[], p_debits uuid[], p_credits uuid[], p_amounts bigint[])
RETURNS ledger_side[] LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_sides ledger_side[];
BEGIN
    WITH side AS (
        SELECT id, account_id, 'debit' AS direction, amount, -amount AS change, amount AS released
        FROM unnest(p_txs, p_debits, p_amounts) AS debited (id, account_id, amount)
        UNION ALL
        SELECT id, account_id, 'credit', amount, amount, 0
        FROM unnest(p_txs, p_credits, p_amounts) AS credited (id, account_id, amount)
    )
    SELECT array_agg(ROW(counted.*)::ledger_side) INTO v_sides FROM (
        SELECT s.id, s.account_id, s.direction, s.amount, dense_rank() OVER (ORDER BY s.account_id)::int,
               row_number() OVER in_account, (sum(s.change) OVER so_far)::bigint, (sum(s.released) OVER so_far)::bigint,
               lead(s.id) OVER in_account IS NULL
        FROM side s
        WINDOW in_account AS (PARTITION BY s.account_id ORDER BY s.id, s.direction),
            so_far AS (in_account ROWS UNBOUNDED PRECEDING)
    ) counted;
    RETURN v_sides;
END $$;

-- ledger_clear: post a batch of approved units: entries, running balances, balances, states, log, in one transaction.
-- Locks: due work items of stage `clearing` (SKIP LOCKED, so in any order), then every account touched FOR NO KEY UPDATE in id
-- order as a statement of its own; one update per account per batch, so a receiver that everyone pays costs no more.
-- Two batches nearly always have an account in common, and the second waits until the first has committed. So as little as
-- can be is left for then: the sides are counted before the accounts are locked, and what has nothing to do with accounts is
-- done, where all of them are open and no limit is set. Should that have changed when they are locked, all is undone: WL021,
-- and the caller comes again with p_only.
-- p_only: consider just these units (a batch being halved, or the wallet's own movement). Demands approved_at, and the
-- bank's confirmation for deposits and withdrawals, and that whoever paid in was looked for, whoever calls.
-- Returns each claimed unit with a verdict: cleared | frozen (debit account) | closed (credit account) | limited (it is more
-- than the receiver may take); all but the first are left as they were, locked: the caller parks or fails them in the same
-- transaction.
CREATE OR REPLACE FUNCTION ledger_clear(p_limit int, p_only uuid[], p_actor uuid, p_request_id text)
RETURNS TABLE (unit_id uuid, verdict text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_due timestamptz := clock_timestamp();
    v_now timestamptz;
    v_units uuid[];
    v_frozen uuid[];
    v_closed uuid[];
    v_good uuid[];
    v_limited uuid[];
    -- The transactions of the units, read once: whose work item is locked is nobody else's to change. By position.
    v_txs uuid[];
    v_unit_of uuid[];
    v_debits uuid[];
    v_credits uuid[];
    v_amounts bigint[];
    v_sides ledger_side[];
    -- Of the accounts, in id order.
    v_cleared bigint[];
    v_sequences bigint[];
    v_ready boolean;
    v_all_open boolean;
    v_early boolean;
BEGIN
    SELECT array_agg(d.unit_id) INTO v_units FROM (
        SELECT w.unit_id FROM ledger_workitem w
        WHERE w.stage = 'clearing' AND w.next_at <= v_due AND (p_only IS NULL OR w.unit_id = ANY (p_only))
        ORDER BY w.next_at LIMIT p_limit FOR NO KEY UPDATE SKIP LOCKED
    ) d;
    IF v_units IS NULL THEN
        RETURN;
    END IF;
    SELECT array_agg(t.id), array_agg(coalesce(t.group_id, t.id)), array_agg(t.debit_account_id),
           array_agg(t.credit_account_id), array_agg(coalesce(t.captured_amount, t.amount)),
           bool_and(t.approved_at IS NOT NULL
               AND (t.kind NOT IN ('deposit', 'withdrawal') OR r.status IS NOT DISTINCT FROM 'confirmed')
               AND (r.payer IS NULL OR r.payer_passed_at IS NOT NULL)
               AND (t.expires_at IS NULL OR t.captured_at IS NOT NULL))
    INTO v_txs, v_unit_of, v_debits, v_credits, v_amounts, v_ready
    FROM (
        SELECT * FROM ledger_transaction o WHERE o.id = ANY (v_units) AND o.group_id IS NULL
        UNION ALL
        SELECT * FROM ledger_transaction g WHERE g.group_id = ANY (v_units)
    ) t
    LEFT JOIN ledger_railtransfer r ON r.transaction_id = t.id;
    IF NOT v_ready THEN
        RAISE EXCEPTION 'a unit was to be cleared without approval, without the bank, its payer or its payee'
            USING ERRCODE = 'WL020';
    END IF;
    v_early := p_only IS NULL AND NOT EXISTS (
        SELECT FROM unnest(v_debits || v_credits) AS touched (id) JOIN accounts_account a ON a.id = touched.id
        WHERE a.status <> 'open'
        UNION ALL
        SELECT FROM ledger_limit l WHERE l.direction = 'in'
    );
    IF v_early THEN
        PERFORM ledger_is_done(v_txs, v_debits, v_units, p_actor, p_request_id);
    END IF;
    v_sides := ledger_sides(v_txs, v_debits, v_credits, v_amounts);
    -- What it returns is as it stands once it is locked.
    SELECT bool_and(locked.status = 'open'), array_agg(locked.cleared ORDER BY locked.id),
           array_agg(locked.last_sequence ORDER BY locked.id)
    INTO v_all_open, v_cleared, v_sequences
    FROM (
        SELECT a.id, a.status, a.cleared, a.last_sequence FROM accounts_account a WHERE a.id = ANY (v_debits || v_credits)
        ORDER BY a.id FOR NO KEY UPDATE
    ) locked;
    -- Times never go back along an account's lines: this one is taken under its lock.
    v_now := clock_timestamp();

    -- The accounts again, now that they are locked; most batches touch none that is not open. A withdrawal that the bank
    -- has paid is posted whatever became of the account: the money is gone.
    v_good := v_units;
    IF NOT v_all_open THEN
        SELECT array_agg(u.id) FILTER (WHERE u.frozen),
               array_agg(u.id) FILTER (WHERE u.closed AND NOT u.frozen),
               array_agg(u.id) FILTER (WHERE NOT u.closed AND NOT u.frozen)
        INTO v_frozen, v_closed, v_good
        FROM (
            SELECT coalesce(t.group_id, t.id) AS id,
                   bool_or(d.kind = 'customer' AND d.status <> 'open') AND NOT bool_or(t.kind = 'withdrawal') AS frozen,
                   bool_or(c.status NOT IN ('open', 'frozen')) AS closed
            FROM ledger_transactions_of(v_units) t
            JOIN accounts_account d ON d.id = t.debit_account_id
            JOIN accounts_account c ON c.id = t.credit_account_id
            GROUP BY 1
        ) u;
        RETURN QUERY
            SELECT f, 'frozen' FROM unnest(v_frozen) f UNION ALL SELECT c, 'closed' FROM unnest(v_closed) c;
    END IF;
    v_limited := ledger_over_limit(v_good, v_now);
    RETURN QUERY SELECT l, 'limited' FROM unnest(v_limited) l;
    SELECT array_agg(u) INTO v_good FROM unnest(v_good) u WHERE u <> ALL (v_limited);
    IF v_early AND coalesce(cardinality(v_good), 0) < cardinality(v_units) THEN
        RAISE EXCEPTION 'an account or a limit has changed meanwhile' USING ERRCODE = 'WL021';
    END IF;
    IF v_good IS NULL THEN
        RETURN;
    END IF;
    IF cardinality(v_good) < cardinality(v_units) THEN
        SELECT array_agg(l.id), array_agg(l.debit), array_agg(l.credit), array_agg(l.amount)
        INTO v_txs, v_debits, v_credits, v_amounts
        FROM unnest(v_txs, v_unit_of, v_debits, v_credits, v_amounts) AS l (id, unit_id, debit, credit, amount)
        WHERE l.unit_id = ANY (v_good);
        v_sides := ledger_sides(v_txs, v_debits, v_credits, v_amounts);
        SELECT array_agg(a.cleared ORDER BY a.id), array_agg(a.last_sequence ORDER BY a.id) INTO v_cleared, v_sequences
        FROM accounts_account a WHERE a.id = ANY (v_debits || v_credits);
    END IF;
    IF v_sides[cardinality(v_sides)].place <> cardinality(v_cleared) THEN
        RAISE EXCEPTION 'an account is missing: places would be those of others' USING ERRCODE = 'data_exception';
    END IF;

    INSERT INTO ledger_entry (transaction_id, account_id, direction, amount, balance_after, sequence, created_at)
    SELECT s.transaction_id, s.account_id, s.direction, s.amount, v_cleared[s.place] + s.change, v_sequences[s.place] + s.number,
           v_now
    FROM unnest(v_sides) AS s;

    UPDATE accounts_account a
    SET cleared = a.cleared + s.change, reserved = a.reserved - CASE a.kind WHEN 'customer' THEN s.released ELSE 0 END,
        last_sequence = a.last_sequence + s.number
    FROM unnest(v_sides) AS s WHERE s.ends AND a.id = s.account_id;

    UPDATE ledger_transaction t
    SET status = 'cleared', cleared_at = v_now, waited = ledger_wait(t.created_at, v_now, NULL)
    WHERE t.id = ANY (v_txs);
    IF NOT v_early THEN
        PERFORM ledger_is_done(v_txs, v_debits, v_good, p_actor, p_request_id);
    END IF;
    RETURN QUERY SELECT g, 'cleared' FROM unnest(v_good) g;
END $$;
