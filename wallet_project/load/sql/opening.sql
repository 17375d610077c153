-- Opening payments number %(first)s to %(last)s: each account is given what it will spend at most, from the wallet's account for
-- exchange, so that no balance is ever below zero and what the bank keeps is left alone.
-- Reads load_account (number, id, principal_id), the accounts of one currency.
CREATE TEMPORARY TABLE load_payment ON COMMIT DROP AS
SELECT p.n, {id} AS id, 'cleared' AS fate, 'exchange' AS kind, fx.id AS debit, a.id AS credit,
       %(system)s::uuid AS initiator, %(funds)s::bigint AS amount, %(currency)s AS currency, 'opening' AS reference, p.at
FROM (SELECT n, %(beginning)s::timestamptz AS at FROM generate_series(%(first)s::bigint, %(last)s::bigint) n) p
JOIN load_account a ON a.number = p.n - 1
JOIN accounts_account fx ON fx.kind = 'system' AND fx.purpose = 'fx' AND fx.currency = %(currency)s;
