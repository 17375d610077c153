-- Cleared and reserved of a customer's account as they were just before an instant, from the rows: one row, one snapshot.
-- Locks nothing. The cleared balance stands in the last line before the instant. Reserved was what had been asked for
-- before it and had not ended by then, of a captured hold what was captured; it is found in three places, none of which
-- grows with the account's history: what is pending now (ledger_pending), what cleared within the minute after (the
-- account's lines), and what waited longer or failed (transaction_outlasting). MATERIALIZED and `OFFSET 0` keep the planner
-- to that order: it can't know how few the rows of a minute are, and would read all that was ever made by time.
WITH place AS MATERIALIZED (
    SELECT ledger_position(%(account)s, %(before)s) AS last,
           ledger_position(%(account)s, %(before)s::timestamptz + interval '1 minute') AS soon_after
), asked AS MATERIALIZED (
    SELECT t.amount, t.captured_amount, t.captured_at, t.created_at, t.cleared_at, t.failed_at
    FROM ledger_pending p CROSS JOIN LATERAL (SELECT * FROM ledger_transaction t WHERE t.id = p.transaction_id OFFSET 0) t
    WHERE p.debit_account_id = %(account)s
    UNION ALL
    SELECT t.amount, t.captured_amount, t.captured_at, t.created_at, t.cleared_at, t.failed_at
    FROM place
    JOIN ledger_entry e ON e.account_id = %(account)s AND e.sequence > place.last AND e.sequence <= place.soon_after
    CROSS JOIN LATERAL (SELECT * FROM ledger_transaction t WHERE t.id = e.transaction_id OFFSET 0) t
    WHERE e.direction = 'debit' AND t.waited = 0
    UNION ALL
    SELECT t.*
    FROM (VALUES (1, interval '1 hour'), (2, '48 hours'), (3, '768 hours'), (4, NULL)) AS waited (class, at_most)
    CROSS JOIN LATERAL (
        SELECT t.amount, t.captured_amount, t.captured_at, t.created_at, t.cleared_at, t.failed_at
        FROM ledger_transaction t
        WHERE t.debit_account_id = %(account)s AND t.kind <> 'deposit'
            AND t.waited > 0 AND t.waited = waited.class
            AND t.created_at < %(before)s
            AND t.created_at >= coalesce(%(before)s::timestamptz - waited.at_most, '-infinity')
        OFFSET 0
    ) t
)
SELECT coalesce((
           SELECT e.balance_after FROM ledger_entry e, place WHERE e.account_id = %(account)s AND e.sequence = place.last
       ), 0) AS cleared,
       coalesce((
           SELECT sum(CASE WHEN a.captured_at < %(before)s THEN a.captured_amount ELSE a.amount END)
           FROM asked a
           WHERE a.created_at < %(before)s AND coalesce(a.cleared_at, a.failed_at, 'infinity') >= %(before)s
       ), 0)::bigint AS reserved
