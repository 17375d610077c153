-- Facts of every leg of a batch of units: one row per leg (compliance/facts.py gives the meaning of each column).
-- Locks nothing. Reads ledger_transaction by (debit_account, id), by (credit_account, id) only for deposits that lie
-- just under a limit, and by transaction_by_beneficiary for withdrawals, whatever their amount; ids are time ordered, so
-- that a window is a range of ids. Each customer's window is read once for the whole batch, however many legs of the batch
-- he has, so that a large batch costs less a leg. `OFFSET 0` keeps the planner from joining the other way round: it can't
-- know how few of a day's transactions are one customer's.
--
-- Fees are no debits of their own: the payments that they belong to are counted. Of a hold that was captured, what was
-- captured counts.
--
-- A frame ends with the leg's own instant: what was created in the same microsecond (the legs of a group) counts too.
WITH limit_of AS (
    SELECT * FROM unnest(%(currencies)s::text[], %(first_payment_from)s::bigint[]) AS l (currency, first_payment_from)
), band AS (
    SELECT * FROM unnest(%(band_currencies)s::text[], %(band_lows)s::bigint[], %(band_highs)s::bigint[])
        AS b (currency, low, high)
), leg AS MATERIALIZED (
    SELECT t.id, coalesce(t.group_id, t.id) AS unit_id, t.kind, t.amount, t.currency, t.created_at, t.status,
           coalesce(t.captured_amount, t.amount) AS moved,
           payer.customer_id IS NOT NULL AS outgoing,
           coalesce(payer.customer_id, payee.customer_id) AS customer_id,
           CASE WHEN payer.customer_id IS NULL THEN payee.created_at ELSE payer.created_at END AS account_created_at,
           coalesce(payer.customer_id = payee.customer_id, false) AS to_own_account,
           payee.customer_id AS payee_customer_id,
           upper(replace(t.beneficiary ->> 'iban', ' ', '')) AS iban,
           EXISTS (SELECT 1 FROM band WHERE band.currency = t.currency AND t.amount >= low AND t.amount < high)
               AS just_under
    FROM (
        SELECT * FROM ledger_transaction WHERE id = ANY (%(units)s) AND group_id IS NULL
        UNION ALL
        SELECT * FROM ledger_transaction WHERE group_id = ANY (%(units)s)
    ) AS t
    JOIN accounts_account AS payer ON payer.id = t.debit_account_id
    JOIN accounts_account AS payee ON payee.id = t.credit_account_id
), person AS MATERIALIZED (
    SELECT customer_id, outgoing, just_under, first, until, first - interval '24 hours' AS since,
           ARRAY(SELECT a.id FROM accounts_account AS a WHERE a.customer_id = span.customer_id) AS accounts,
           -- The smallest UUIDv7 of that millisecond; ten minutes are for clocks that differ.
           (lpad(to_hex(floor(extract(epoch FROM first - interval '24 hours 10 minutes') * 1000)::bigint), 12, '0')
               || repeat('0', 20))::uuid AS first_id
    FROM (
        SELECT customer_id, outgoing, bool_or(just_under) AS just_under,
               min(created_at) AS first, max(created_at) AS until
        FROM leg
        WHERE customer_id IS NOT NULL AND (outgoing OR just_under)
        GROUP BY customer_id, outgoing
    ) AS span
), history AS (
    SELECT person.customer_id, true AS outgoing, person.just_under, person.first, person.until, h.id, h.created_at,
           h.amount, h.moved, h.currency, h.credit_account_id = ANY (person.accounts) AS to_own_account
    FROM person
    CROSS JOIN LATERAL unnest(person.accounts) AS a (id)
    CROSS JOIN LATERAL (
        SELECT t.id, t.created_at, t.amount, coalesce(t.captured_amount, t.amount) AS moved, t.currency,
               t.credit_account_id, t.kind, t.status
        FROM ledger_transaction AS t
        WHERE t.debit_account_id = a.id AND t.id >= person.first_id
        OFFSET 0
    ) AS h
    WHERE person.outgoing AND h.created_at BETWEEN person.since AND person.until AND h.status <> 'failed'
      AND h.kind <> 'fee'
    UNION ALL
    SELECT person.customer_id, false, true, person.first, person.until, h.id, h.created_at,
           h.amount, h.amount, h.currency, false
    FROM person
    CROSS JOIN LATERAL unnest(person.accounts) AS a (id)
    CROSS JOIN LATERAL (
        SELECT t.id, t.created_at, t.amount, t.currency, t.kind, t.status
        FROM ledger_transaction AS t
        WHERE t.credit_account_id = a.id AND t.id >= person.first_id
        OFFSET 0
    ) AS h
    WHERE NOT person.outgoing AND h.created_at BETWEEN person.since AND person.until AND h.status <> 'failed'
      AND h.kind = 'deposit'
), line AS (
    -- What is in the windows of all legs of a person, or in the days and not in the hours of all, is added up to one line
    -- first: only what lies at an end of a window is counted by frames. A leg is always a line of its own.
    SELECT customer_id, outgoing, currency, CASE WHEN shared IS NULL THEN id END AS id, min(created_at) AS created_at,
           count(*) AS debits, coalesce(sum(moved) FILTER (WHERE NOT to_own_account), 0) AS sent,
           count(*) FILTER (WHERE just_under) AS just_under
    FROM (
        SELECT customer_id, outgoing, currency, id, created_at, moved, to_own_account,
               CASE WHEN created_at >= until - interval '1 hour' AND created_at < first THEN 'hour'
                    WHEN created_at >= until - interval '24 hours' AND created_at < first - interval '1 hour' THEN 'day'
               END AS shared,
               -- Asked for nothing where no leg of the person's is just under a limit.
               just_under AND EXISTS (
                   SELECT 1 FROM band
                   WHERE band.currency = history.currency AND history.amount >= low AND history.amount < high
               ) AS just_under
        FROM history
    ) AS history
    GROUP BY customer_id, outgoing, currency, shared, CASE WHEN shared IS NULL THEN id END
), counted AS (
    SELECT id, outgoing,
           -- A frame holds the leg itself; the leg is taken out again below. (EXCLUDE CURRENT ROW would count each
           -- frame anew, which is quadratic for a customer with many debits.)
           sum(debits) OVER hour AS debits_1h,
           sum(sent) OVER day AS out_24h,
           sum(just_under) OVER day AS just_under_24h
    FROM line
    WINDOW hour AS (
               PARTITION BY customer_id, outgoing ORDER BY created_at
               RANGE BETWEEN interval '1 hour' PRECEDING AND CURRENT ROW
           ),
           day AS (
               PARTITION BY customer_id, outgoing, currency ORDER BY created_at
               RANGE BETWEEN interval '24 hours' PRECEDING AND CURRENT ROW
           )
)
SELECT leg.id, leg.unit_id, leg.customer_id, leg.kind, leg.outgoing, leg.amount, leg.currency,
       coalesce(customer.kyc_status = 'rejected', false) AS identity_rejected,
       greatest(floor(extract(epoch FROM leg.created_at - leg.account_created_at)), 0)::bigint AS account_age_seconds,
       CASE WHEN counted.id IS NULL OR NOT leg.outgoing THEN 0 ELSE counted.debits_1h - 1 END::bigint AS debits_1h,
       CASE WHEN counted.id IS NULL OR NOT leg.outgoing THEN 0
            WHEN leg.to_own_account THEN counted.out_24h
            ELSE counted.out_24h - leg.moved END::bigint AS out_24h,
       leg.to_own_account,
       CASE WHEN leg.just_under AND counted.id IS NOT NULL THEN counted.just_under_24h - 1 ELSE 0 END::bigint AS just_under_24h,
       CASE
           WHEN NOT leg.outgoing OR leg.to_own_account OR leg.amount < limit_of.first_payment_from THEN NULL
           WHEN leg.payee_customer_id IS NOT NULL THEN EXISTS (
               SELECT 1
               FROM accounts_account AS mine
               CROSS JOIN LATERAL (
                   SELECT t.created_at, t.approved_at, t.status, t.credit_account_id
                   FROM ledger_transaction AS t WHERE t.debit_account_id = mine.id
                   ORDER BY t.id DESC OFFSET 0
               ) AS h
               WHERE mine.customer_id = leg.customer_id AND h.created_at < leg.created_at
                 AND h.approved_at IS NOT NULL AND h.status <> 'failed'
                 AND h.credit_account_id IN (
                     SELECT theirs.id FROM accounts_account AS theirs WHERE theirs.customer_id = leg.payee_customer_id
                 )
           )
       END AS counterparty_known,
       leg.outgoing AND leg.kind = 'withdrawal' AND NOT EXISTS (
           SELECT 1
           FROM accounts_account AS mine
           CROSS JOIN LATERAL (
               SELECT t.created_at, t.approved_at, t.status
               FROM ledger_transaction AS t
               WHERE t.kind = 'withdrawal' AND t.debit_account_id = mine.id
                 AND upper(replace(t.beneficiary ->> 'iban', ' ', '')) = leg.iban
               OFFSET 0
           ) AS h
           WHERE mine.customer_id = leg.customer_id AND h.created_at < leg.created_at
             AND h.approved_at IS NOT NULL AND h.status <> 'failed'
       ) AS beneficiary_first_use
FROM leg
LEFT JOIN accounts_customer AS customer ON customer.id = leg.customer_id
LEFT JOIN limit_of ON limit_of.currency = leg.currency
LEFT JOIN counted ON counted.id = leg.id AND counted.outgoing = leg.outgoing
WHERE leg.status = 'pending'
ORDER BY leg.id
