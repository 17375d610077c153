-- Functions for reading. They lock nothing, and see what the query sees that calls them.

-- ledger_position: how many lines an account had before an instant, which is the number of the last of them. A binary
-- search by (account, sequence): some twenty looks among a million lines, and no index on time that each posting would pay
-- for. It may be searched so because the time is taken while the account is locked (ledger_clear), and so never goes back
-- along its lines; should a server's clock do so, the answer is still a line with an earlier one before it and a later one
-- after it.
CREATE OR REPLACE FUNCTION ledger_position(p_account uuid, p_before timestamptz) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_low bigint := 0;
    v_high bigint;
    v_middle bigint;
BEGIN
    SELECT coalesce(max(e.sequence), 0) INTO v_high FROM ledger_entry e WHERE e.account_id = p_account;
    WHILE v_low < v_high LOOP
        v_middle := (v_low + v_high + 1) / 2;
        IF (SELECT e.created_at FROM ledger_entry e WHERE e.account_id = p_account AND e.sequence = v_middle) < p_before THEN
            v_low := v_middle;
        ELSE
            v_high := v_middle - 1;
        END IF;
    END LOOP;
    RETURN v_low;
END $$;

-- ledger_wait: a class of how long a transaction was pending, which it carries itself (transaction_waited_as_long). 0: it still
-- is, cleared within a minute, or was never pending. Of the others the class says how long at most: 1 an hour, 2 two days,
-- 3 32 days, 4 longer. What waited for two days at most can only have been waiting at an instant if it was made in the two
-- days before: by that, the index transaction_outlasting finds what was pending at any instant without reading all that was
-- there before or since.
CREATE OR REPLACE FUNCTION ledger_wait(p_created timestamptz, p_cleared timestamptz, p_failed timestamptz) RETURNS smallint
LANGUAGE sql IMMUTABLE AS $$
    SELECT (CASE WHEN p_cleared IS NULL AND p_failed IS NULL THEN 0
                 WHEN p_cleared - p_created <= interval '1 minute' OR p_failed <= p_created THEN 0
                 WHEN coalesce(p_cleared, p_failed) - p_created <= interval '1 hour' THEN 1
                 WHEN coalesce(p_cleared, p_failed) - p_created <= interval '48 hours' THEN 2
                 WHEN coalesce(p_cleared, p_failed) - p_created <= interval '768 hours' THEN 3
                 ELSE 4 END)::smallint
$$;
