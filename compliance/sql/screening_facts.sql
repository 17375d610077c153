-- compliance_facts: the facts of every pending leg of a batch of units, one row per leg in the order of ids
-- (compliance/facts.py gives the meaning of each column). Locks nothing; reads what the caller may read.
--
-- What was sent in a window is the difference of two sums that the payments carry themselves: a payment says how many its
-- account was asked for before it, and how much they sent (ledger_post_pending), so a window costs two looks by
-- transaction_by_payer_time, whether ten or a million lie in it. What was not paid after all, or less of it (transaction_undone),
-- is taken off again. Only of a customer who has a leg just under a limit in the batch are a day's payments read.
--
-- Fees are no debits of their own: the payments that they belong to are counted. Of a hold that was captured, what was
-- captured counts. A window ends with the leg's own instant: what was created in the same microsecond (the legs of a group)
-- counts too.
--
-- p_first_payment_from: by p_currencies, from which amount on (minor units) it matters whether a payee is known. p_band_*: the
-- amounts [low, high) just under a limit.
--
-- To plan it takes half as long as to run it for a batch of hundreds, so it is planned once for a session, and told to look
-- up each row by an index: a plan for the tables of a new wallet would read all of an old one's.
CREATE OR REPLACE FUNCTION compliance_facts(
    p_units uuid[], p_currencies text[], p_first_payment_from bigint[], p_band_currencies text[], p_band_lows bigint[],
    p_band_highs bigint[]
) RETURNS TABLE (
    id uuid, unit_id uuid, customer_id uuid, kind varchar, outgoing boolean, amount bigint, currency varchar,
    identity_rejected boolean, account_age_seconds bigint, debits_1h bigint, out_24h bigint, to_own_account boolean,
    just_under_24h bigint, counterparty_known boolean, beneficiary_first_use boolean, debits_24h bigint, debits_30d bigint,
    out_30d bigint, days_idle bigint, in_24h bigint, party_matched boolean, destination_name text, iban text
) LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public, pg_temp
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        WITH limit_of AS (
            SELECT * FROM unnest(p_currencies, p_first_payment_from) AS l (currency, first_payment_from)
        ), band AS (
            SELECT * FROM unnest(p_band_currencies, p_band_lows, p_band_highs)
                AS b (currency, low, high)
        ), leg AS MATERIALIZED (
            SELECT t.id, coalesce(t.group_id, t.id) AS unit_id, t.kind, t.amount, t.currency, t.created_at, t.status,
                   coalesce(t.captured_amount, t.amount) AS moved,
                   payer.customer_id IS NOT NULL AS outgoing,
                   payer.customer_id IS NOT NULL AND t.kind <> 'fee' AS counts,
                   coalesce(payer.customer_id, payee.customer_id) AS customer_id,
                   CASE WHEN payer.customer_id IS NULL THEN payee.created_at ELSE payer.created_at END AS account_created_at,
                   coalesce(payer.customer_id = payee.customer_id, false) AS to_own_account,
                   payee.customer_id AS payee_customer_id,
                   payee.last_sequence AS payee_lines,
                   payer.debits AS payer_debits,
                   t.debit_account_id,
                   upper(replace(t.beneficiary ->> 'iban', ' ', '')) AS iban,
                   t.beneficiary ->> 'name' AS payee_name,
                   t.amount >= (SELECT min(low) FROM band)
                       AND EXISTS (SELECT 1 FROM band WHERE band.currency = t.currency AND t.amount >= low AND t.amount < high)
                       AS just_under
            FROM (
                SELECT * FROM ledger_transaction WHERE id = ANY (p_units) AND group_id IS NULL
                UNION ALL
                SELECT * FROM ledger_transaction WHERE group_id = ANY (p_units)
            ) AS t
            JOIN accounts_account AS payer ON payer.id = t.debit_account_id
            JOIN accounts_account AS payee ON payee.id = t.credit_account_id
        ), person AS MATERIALIZED (
            SELECT customer_id, outgoing, just_under, first, until,
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
        ), deviation AS MATERIALIZED (
            -- What a window is off by: `debits` and `sent` are too much in the sums, `just_under` is counted here.
            SELECT person.customer_id, true AS outgoing, u.currency, u.created_at, NULL::uuid AS id,
                   (u.status = 'failed')::int AS debits,
                   CASE WHEN u.credit_account_id = ANY (person.accounts) THEN 0
                        WHEN u.status = 'failed' THEN u.amount
                        ELSE u.amount - u.captured_amount END AS sent, 0 AS just_under
            FROM person
            CROSS JOIN LATERAL unnest(person.accounts) AS a (id)
            CROSS JOIN LATERAL (
                SELECT t.currency, t.created_at, t.status, t.credit_account_id, t.amount, t.captured_amount
                FROM ledger_transaction AS t
                WHERE t.debit_account_id = a.id AND t.kind NOT IN ('deposit', 'fee')
                  AND (t.failed_at > t.created_at OR t.captured_amount < t.amount)
                  AND t.created_at BETWEEN person.first - interval '30 days' AND person.until
                OFFSET 0
            ) AS u
            WHERE person.outgoing
            UNION ALL
            SELECT person.customer_id, person.outgoing, h.currency, h.created_at, NULL, 0, 0, 1
            FROM person
            CROSS JOIN LATERAL unnest(person.accounts) AS a (id)
            CROSS JOIN LATERAL (
                SELECT t.currency, t.created_at, t.amount, t.status
                FROM ledger_transaction AS t
                WHERE person.outgoing AND t.debit_account_id = a.id AND t.kind NOT IN ('deposit', 'fee')
                  AND t.created_at BETWEEN person.first - interval '24 hours' AND person.until
                UNION ALL
                SELECT t.currency, t.created_at, t.amount, t.status
                FROM ledger_transaction AS t
                WHERE NOT person.outgoing AND t.credit_account_id = a.id AND t.kind = 'deposit' AND t.id >= person.first_id
                OFFSET 0
            ) AS h
            WHERE person.just_under AND h.status <> 'failed'
              AND EXISTS (SELECT 1 FROM band WHERE band.currency = h.currency AND h.amount >= low AND h.amount < high)
        ), correction AS (
            -- Most customers have nothing to correct, and nothing is sorted for them.
            SELECT customer_id, outgoing, currency, created_at, id, debits, sent, just_under FROM deviation
            UNION ALL
            SELECT customer_id, outgoing, currency, created_at, id, 0, 0, 0 FROM leg
            WHERE customer_id = ANY (ARRAY(SELECT DISTINCT customer_id FROM deviation))
        ), corrected AS MATERIALIZED (
            SELECT id, outgoing,
                   sum(debits) OVER hour AS debits_1h, sum(debits) OVER day AS debits_24h, sum(debits) OVER month AS debits_30d,
                   sum(sent) OVER own_day AS out_24h, sum(sent) OVER own_month AS out_30d,
                   sum(just_under) OVER own_day AS just_under_24h
            FROM correction
            WINDOW hour AS (PARTITION BY customer_id, outgoing ORDER BY created_at
                            RANGE BETWEEN interval '1 hour' PRECEDING AND CURRENT ROW),
                   day AS (PARTITION BY customer_id, outgoing ORDER BY created_at
                           RANGE BETWEEN interval '24 hours' PRECEDING AND CURRENT ROW),
                   month AS (PARTITION BY customer_id, outgoing ORDER BY created_at
                             RANGE BETWEEN interval '30 days' PRECEDING AND CURRENT ROW),
                   own_day AS (PARTITION BY customer_id, outgoing, currency ORDER BY created_at
                               RANGE BETWEEN interval '24 hours' PRECEDING AND CURRENT ROW),
                   own_month AS (PARTITION BY customer_id, outgoing, currency ORDER BY created_at
                                 RANGE BETWEEN interval '30 days' PRECEDING AND CURRENT ROW)
        ), looked_at AS MATERIALIZED (
            -- A FULL JOIN, as PostgreSQL never does that by going through one side for each row of the other, as it has to do
            -- here otherwise. All that is corrected is a leg.
            SELECT leg.*, c.debits_1h AS off_1h, c.debits_24h AS off_24h, c.debits_30d AS off_30d,
                   c.out_24h AS out_off_24h, c.out_30d AS out_off_30d, c.just_under_24h AS near_24h
            FROM leg
            FULL JOIN (SELECT * FROM corrected WHERE id IS NOT NULL) AS c ON c.id = leg.id AND c.outgoing = leg.outgoing
        )
        SELECT leg.id, leg.unit_id, leg.customer_id, leg.kind, leg.outgoing, leg.amount, leg.currency,
               coalesce(customer.kyc_status = 'rejected', false) AS identity_rejected,
               greatest(floor(extract(epoch FROM leg.created_at - leg.account_created_at)), 0)::bigint AS account_age_seconds,
               coalesce(asked.debits_1h - coalesce(leg.off_1h, 0) - 1, 0)::bigint AS debits_1h,
               coalesce(asked.out_24h - coalesce(leg.out_off_24h, 0) - paid.itself, 0)::bigint AS out_24h,
               leg.to_own_account,
               CASE WHEN leg.just_under AND leg.kind <> 'fee' AND (leg.outgoing OR leg.kind = 'deposit')
                    THEN coalesce(leg.near_24h, 1) - 1 ELSE 0 END::bigint AS just_under_24h,
               CASE
                   WHEN NOT leg.outgoing OR leg.to_own_account OR leg.amount < limit_of.first_payment_from THEN NULL
                   -- Looked for on the side that has the shorter history; newest first, as who pays again has often paid lately.
                   WHEN leg.payee_customer_id IS NULL THEN NULL
                   WHEN leg.payer_debits <= leg.payee_lines THEN EXISTS (
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
                   ELSE EXISTS (
                       SELECT 1
                       FROM accounts_account AS theirs
                       CROSS JOIN LATERAL (
                           SELECT t.created_at, t.approved_at, t.status, t.debit_account_id
                           FROM ledger_transaction AS t WHERE t.credit_account_id = theirs.id
                           ORDER BY t.id DESC OFFSET 0
                       ) AS h
                       WHERE theirs.customer_id = leg.payee_customer_id AND h.created_at < leg.created_at
                         AND h.approved_at IS NOT NULL AND h.status <> 'failed'
                         AND h.debit_account_id IN (
                             SELECT mine.id FROM accounts_account AS mine WHERE mine.customer_id = leg.customer_id
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
               ) AS beneficiary_first_use,
               coalesce(asked.debits_24h - coalesce(leg.off_24h, 0) - 1, 0)::bigint AS debits_24h,
               coalesce(asked.debits_30d - coalesce(leg.off_30d, 0) - 1, 0)::bigint AS debits_30d,
               coalesce(asked.out_30d - coalesce(leg.out_off_30d, 0) - paid.itself, 0)::bigint AS out_30d,
               CASE WHEN NOT leg.counts OR asked.lately THEN 0
                    ELSE greatest(floor(extract(epoch FROM leg.created_at - coalesce((
                        SELECT max(previous.created_at)
                        FROM accounts_account AS a
                        CROSS JOIN LATERAL (
                            SELECT t.created_at FROM ledger_transaction AS t
                            WHERE t.debit_account_id = a.id AND t.kind NOT IN ('deposit', 'fee') AND t.created_at < leg.created_at
                            ORDER BY t.created_at DESC, t.debits_before DESC LIMIT 1
                        ) AS previous
                        WHERE a.customer_id = leg.customer_id AND a.debits > 0
                    ), leg.account_created_at)) / 86400), 0)
                    END::bigint AS days_idle,
               CASE WHEN leg.outgoing AND leg.kind <> 'fee' AND NOT leg.to_own_account
                        AND leg.amount >= limit_of.first_payment_from
                    THEN (
                        SELECT coalesce(sum(CASE WHEN span.last - span.first <= 2000 THEN exact.came ELSE rough.came END), 0)
                            -- Of an account with more lines a day: what its balance rose by, and what went out meanwhile.
                            + CASE WHEN bool_or(span.last - span.first > 2000)
                                   THEN coalesce(asked.out_24h - coalesce(leg.out_off_24h, 0) - paid.itself, 0) ELSE 0 END
                        FROM accounts_account AS a
                        CROSS JOIN LATERAL (
                            SELECT ledger_position(a.id, leg.created_at - interval '24 hours') AS first,
                                   ledger_position(a.id, leg.created_at) AS last
                        ) AS span
                        LEFT JOIN LATERAL (
                            SELECT sum(e.amount) AS came FROM ledger_entry AS e
                            JOIN ledger_transaction AS t ON t.id = e.transaction_id
                            JOIN accounts_account AS payer ON payer.id = t.debit_account_id
                            WHERE span.last - span.first <= 2000 AND e.account_id = a.id
                              AND e.sequence > span.first AND e.sequence <= span.last
                              AND e.direction = 'credit' AND payer.customer_id IS DISTINCT FROM leg.customer_id
                        ) AS exact ON true
                        LEFT JOIN LATERAL (
                            SELECT max(e.balance_after) FILTER (WHERE e.sequence = span.last)
                                   - coalesce(max(e.balance_after) FILTER (WHERE e.sequence = span.first), 0) AS came
                            FROM ledger_entry AS e
                            WHERE span.last - span.first > 2000 AND e.account_id = a.id
                              AND e.sequence IN (span.first, span.last)
                        ) AS rough ON true
                        WHERE a.customer_id = leg.customer_id AND a.currency = leg.currency
                    )
               END::bigint AS in_24h,
               EXISTS (
                   SELECT 1 FROM compliance_namescreening AS s
                   WHERE s.customer_id IN (leg.customer_id, leg.payee_customer_id) AND s.status IN ('in_review', 'confirmed')
               ) AS party_matched,
               CASE leg.kind WHEN 'withdrawal' THEN leg.payee_name END AS destination_name,
               leg.iban
        FROM looked_at AS leg
        CROSS JOIN LATERAL (SELECT CASE WHEN leg.to_own_account THEN 0 ELSE leg.moved END AS itself) AS paid
        LEFT JOIN accounts_customer AS customer ON customer.id = leg.customer_id
        LEFT JOIN limit_of ON limit_of.currency = leg.currency
        LEFT JOIN LATERAL (
            -- What each account of the customer's was asked for from the beginning of a window to the leg's instant. An account
            -- that was asked for nothing after an instant had then been asked for what it says now; before the first that it
            -- was ever asked for there is nothing to look for, and a longer window may begin with the same row.
            SELECT sum(upto.debits - coalesce(hour.debits_before, a.debits)) AS debits_1h,
                   sum(upto.debits - day.debits) AS debits_24h,
                   sum(upto.debits - month.debits) AS debits_30d,
                   sum(upto.sent - day.sent) FILTER (WHERE a.currency = leg.currency) AS out_24h,
                   sum(upto.sent - month.sent) FILTER (WHERE a.currency = leg.currency) AS out_30d,
                   coalesce(bool_or(hour.created_at < leg.created_at), false) AS lately
            FROM accounts_account AS a
            LEFT JOIN LATERAL (
                SELECT t.created_at, t.debits_before, t.sent_before FROM ledger_transaction AS t
                WHERE t.debit_account_id = a.id AND t.kind NOT IN ('deposit', 'fee')
                  AND t.created_at >= leg.created_at - interval '1 hour'
                ORDER BY t.created_at, t.debits_before LIMIT 1
            ) AS hour ON true
            LEFT JOIN LATERAL (
                SELECT t.debits_before, t.sent_before FROM ledger_transaction AS t
                WHERE hour.created_at <= leg.created_at
                  AND t.debit_account_id = a.id AND t.kind NOT IN ('deposit', 'fee') AND t.created_at > leg.created_at
                ORDER BY t.created_at, t.debits_before LIMIT 1
            ) AS later ON true
            LEFT JOIN LATERAL (
                SELECT t.created_at, t.debits_before, t.sent_before FROM ledger_transaction AS t
                WHERE hour.debits_before IS DISTINCT FROM 0
                  AND t.debit_account_id = a.id AND t.kind NOT IN ('deposit', 'fee')
                  AND t.created_at >= leg.created_at - interval '30 days'
                ORDER BY t.created_at, t.debits_before LIMIT 1
            ) AS of_month ON true
            LEFT JOIN LATERAL (
                SELECT t.debits_before, t.sent_before FROM ledger_transaction AS t
                WHERE of_month.created_at < leg.created_at - interval '24 hours'
                  AND t.debit_account_id = a.id AND t.kind NOT IN ('deposit', 'fee')
                  AND t.created_at >= leg.created_at - interval '24 hours'
                ORDER BY t.created_at, t.debits_before LIMIT 1
            ) AS of_day ON true
            CROSS JOIN LATERAL (
                SELECT CASE WHEN hour.created_at > leg.created_at THEN hour.debits_before
                            ELSE coalesce(later.debits_before, a.debits) END AS debits,
                       CASE WHEN hour.created_at > leg.created_at THEN hour.sent_before
                            ELSE coalesce(later.sent_before, a.sent) END AS sent
            ) AS upto
            CROSS JOIN LATERAL (
                SELECT CASE WHEN hour.debits_before = 0 THEN 0 ELSE coalesce(of_month.debits_before, a.debits) END AS debits,
                       CASE WHEN hour.debits_before = 0 THEN 0 ELSE coalesce(of_month.sent_before, a.sent) END AS sent
            ) AS month
            CROSS JOIN LATERAL (
                SELECT CASE WHEN hour.debits_before = 0 THEN 0
                            WHEN of_month.created_at >= leg.created_at - interval '24 hours' THEN of_month.debits_before
                            ELSE coalesce(of_day.debits_before, a.debits) END AS debits,
                       CASE WHEN hour.debits_before = 0 THEN 0
                            WHEN of_month.created_at >= leg.created_at - interval '24 hours' THEN of_month.sent_before
                            ELSE coalesce(of_day.sent_before, a.sent) END AS sent
            ) AS day
            WHERE a.customer_id = leg.customer_id AND a.debits > 0
        ) AS asked ON leg.counts
        WHERE leg.status = 'pending'
        ORDER BY leg.id;
END $$;
