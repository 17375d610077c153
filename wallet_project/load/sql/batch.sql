-- The payments number %(first)s to %(last)s of a currency, spread evenly over the time. Everybody pays in turn; each fifth
-- goes to the account number 0, a merchant whom everyone pays, and the others go round by round to somebody else: who pay after
-- each other pay neighbours, so that a batch has to do with few pages of an index by account. Two in a hundred come to nothing.
-- Reads load_account (number, id, principal_id), the accounts of one currency.
CREATE TEMPORARY TABLE load_payment ON COMMIT DROP AS
SELECT p.n, {id} AS id, {fate} AS fate,
       'transfer' AS kind, payer.id AS debit, payee.id AS credit, payer.principal_id AS initiator,
       {amount} AS amount, %(currency)s AS currency,
       CASE WHEN p.n %% 10 = 0 THEN 'invoice ' || p.n %% 1000 ELSE '' END AS reference, p.at
FROM (
    SELECT n, n %% %(accounts)s AS payer,
           CASE WHEN n %% 5 = 0 THEN 0 ELSE (n + 1 + n / %(accounts)s * 31 %% (%(accounts)s - 1)) %% %(accounts)s END AS payee,
           %(beginning)s::timestamptz + n * %(step)s::interval AS at
    FROM generate_series(%(first)s::bigint, %(last)s::bigint) n
) p
JOIN load_account payer ON payer.number = p.payer
JOIN load_account payee ON payee.number = CASE p.payee WHEN p.payer THEN (p.payer + 1) %% %(accounts)s ELSE p.payee END;
