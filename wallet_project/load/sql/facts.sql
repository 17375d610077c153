-- What screening would have found of each payment of a currency that clears: as compliance_facts, all at once and before any is
-- posted, since when each comes and what becomes of it is known (batch.sql). It asks for what customers were debited in an hour,
-- a day and thirty days, two looks at an index for each account; here their payments are put in order once.
-- %(currencies)s, %(payers)s, %(many)s, %(steps)s: of each currency its name, accounts, payments, and microseconds between two
-- of these. A customer's accounts have the same number in each. Amounts are below what limits look at, so that no payee is
-- looked for. What was called off counts until it was, three hours later.
CREATE TEMPORARY TABLE load_fact AS
SELECT w.n, w.debits_1h - 1 AS debits_1h, w.debits_24h - w.undone_24h - 1 AS debits_24h, w.debits_30d - w.undone_30d - 1 AS debits_30d,
       w.out_24h - w.lost_24h - w.amount AS out_24h, w.out_30d - w.lost_30d - w.amount AS out_30d,
       (w.at - coalesce(w.before, 0)) / 86400000000 AS days_idle
FROM (
    SELECT p.currency, p.n, p.fate, p.amount, p.at, max(p.at) OVER earlier AS before,
           count(*) FILTER (WHERE p.fate <> 'refused') OVER hour AS debits_1h,
           count(*) FILTER (WHERE p.fate <> 'refused') OVER day AS debits_24h,
           count(*) FILTER (WHERE p.fate <> 'refused') OVER month AS debits_30d,
           count(*) FILTER (WHERE p.fate = 'cancelled') OVER undone_day AS undone_24h,
           count(*) FILTER (WHERE p.fate = 'cancelled') OVER undone_month AS undone_30d,
           coalesce(sum(p.amount) FILTER (WHERE p.fate <> 'refused' AND p.own) OVER day, 0) AS out_24h,
           coalesce(sum(p.amount) FILTER (WHERE p.fate <> 'refused' AND p.own) OVER month, 0) AS out_30d,
           coalesce(sum(p.amount) FILTER (WHERE p.fate = 'cancelled' AND p.own) OVER undone_day, 0) AS lost_24h,
           coalesce(sum(p.amount) FILTER (WHERE p.fate = 'cancelled' AND p.own) OVER undone_month, 0) AS lost_30d
    FROM (
        SELECT c.currency, c.currency = %(currency)s AS own, n, n %% c.payers AS payer, n * c.step AS at,
               {fate} AS fate, ({amount})::int AS amount
        FROM unnest(%(currencies)s::text[], %(payers)s::bigint[], %(many)s::bigint[], %(steps)s::bigint[])
            AS c (currency, payers, many, step)
        CROSS JOIN LATERAL generate_series(1, c.many) AS n
    ) p
    WINDOW earlier AS (PARTITION BY p.payer ORDER BY p.at RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),
           hour AS (PARTITION BY p.payer ORDER BY p.at RANGE BETWEEN 3600000000 PRECEDING AND CURRENT ROW),
           day AS (PARTITION BY p.payer ORDER BY p.at RANGE BETWEEN 86400000000 PRECEDING AND CURRENT ROW),
           month AS (PARTITION BY p.payer ORDER BY p.at RANGE BETWEEN 2592000000000 PRECEDING AND CURRENT ROW),
           undone_day AS (PARTITION BY p.payer ORDER BY p.at RANGE BETWEEN 86400000000 PRECEDING AND 10800000000 PRECEDING),
           undone_month AS (PARTITION BY p.payer ORDER BY p.at RANGE BETWEEN 2592000000000 PRECEDING AND 10800000000 PRECEDING)
) w
WHERE w.currency = %(currency)s AND w.fate = 'cleared';
CREATE UNIQUE INDEX ON load_fact (n)
