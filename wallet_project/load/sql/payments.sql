-- A batch of payments, set-based, in the caller's transaction, as ledger_post_pending, screening and ledger_clear would have
-- left them. Every trigger and every constraint is on: transactions are born pending (or refused), their entries come in
-- pairs that agree with them, and only then are they cleared.
-- Reads load_fact, and load_payment (n, id, fate, kind, debit, credit, initiator, amount, currency, reference, at): `fate` is cleared,
-- refused (when asked for) or cancelled (three hours later). Locks in the one order: keys, then every account touched
-- FOR NO KEY UPDATE in id order.
-- A key is dated now, as its time says to verify_ledger --since-last that it is new.
INSERT INTO accounts_idempotencyclaim (principal_id, key, operation, request_hash, result_id)
SELECT p.initiator, 'load-' || p.id, p.kind, sha256(convert_to(p.id::text, 'UTF8')), p.id
FROM load_payment p ORDER BY p.n;

SELECT FROM accounts_account a
WHERE a.id IN (SELECT p.debit FROM load_payment p UNION SELECT p.credit FROM load_payment p)
ORDER BY a.id FOR NO KEY UPDATE;

INSERT INTO ledger_transaction (
    id, kind, status, debit_account_id, credit_account_id, amount, currency, initiator_id, reference, metadata, failure,
    created_at, failed_at, debits_before, sent_before)
SELECT p.id, p.kind, CASE p.fate WHEN 'refused' THEN 'failed' ELSE 'pending' END, p.debit, p.credit, p.amount, p.currency,
       p.initiator, p.reference, '{}', CASE p.fate WHEN 'refused' THEN 'insufficient_funds' ELSE '' END, p.at,
       CASE p.fate WHEN 'refused' THEN p.at END,
       a.debits + count(*) FILTER (WHERE p.fate <> 'refused' AND a.kind = 'customer') OVER earlier,
       a.sent + coalesce(sum(p.amount) FILTER (WHERE p.fate <> 'refused' AND a.kind = 'customer') OVER earlier, 0)
FROM load_payment p JOIN accounts_account a ON a.id = p.debit
WINDOW earlier AS (PARTITION BY p.debit ORDER BY p.n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
ORDER BY p.n;

INSERT INTO ledger_statechange (machine, subject_id, from_state, to_state, actor_id, reason, request_id, at)
SELECT 'transaction', p.id, '', CASE p.fate WHEN 'refused' THEN 'failed' ELSE 'pending' END, p.initiator,
       CASE p.fate WHEN 'refused' THEN 'insufficient_funds' ELSE '' END, '', p.at
FROM load_payment p ORDER BY p.n;

-- What customers asked for and was neither refused nor called off has been screened (I6 of compliance), with what facts.sql
-- has found. An id is of the decision's time, as backtests look for a period along ids.
WITH screened AS (
    INSERT INTO compliance_screening (
        id, transaction_id, status, attempts, decided_by, decided_at, reason, facts, findings, created_at)
    SELECT {id}, p.transaction_id, 'approved', 1, 'rules', p.at, '', p.facts, '[]', p.at
    FROM (
        SELECT p.id AS transaction_id, p.n, p.at + interval '500 milliseconds' AS at,
               jsonb_build_object(
                   'kind', p.kind, 'outgoing', true, 'amount', p.amount, 'currency', p.currency, 'to_own_account', false,
                   'account_age_seconds', floor(extract(epoch FROM p.at - %(beginning)s::timestamptz)),
                   'days_idle', f.days_idle, 'debits_1h', f.debits_1h, 'debits_24h', f.debits_24h,
                   'debits_30d', f.debits_30d, 'out_24h', f.out_24h, 'out_30d', f.out_30d, 'in_24h', NULL,
                   'just_under_24h', 0, 'counterparty_known', NULL, 'beneficiary_first_use', false,
                   'identity_rejected', false, 'party_matched', false, 'destination_score', 0, 'customer_risk', 0) AS facts
        FROM load_payment p JOIN load_fact f ON f.n = p.n
        WHERE p.fate = 'cleared' AND p.initiator <> %(system)s
    ) p
    ORDER BY p.n
    RETURNING id, decided_at
)
INSERT INTO compliance_statechange (machine, subject_id, from_state, to_state, actor_id, reason, request_id, at)
SELECT 'screening', s.id, '', 'approved', %(system)s, '', '', s.decided_at FROM screened s;

CREATE TEMPORARY TABLE load_line ON COMMIT DROP AS
SELECT side.account_id, p.id AS transaction_id, side.direction, p.amount, side.change, p.at + interval '1 second' AS at,
       row_number() OVER in_account AS number,
       (sum(side.change) OVER (in_account ROWS UNBOUNDED PRECEDING))::bigint AS running
FROM load_payment p
CROSS JOIN LATERAL (VALUES (p.debit, 'debit', -p.amount), (p.credit, 'credit', p.amount))
    AS side (account_id, direction, change)
WHERE p.fate = 'cleared'
WINDOW in_account AS (PARTITION BY side.account_id ORDER BY p.n);

INSERT INTO ledger_entry (transaction_id, account_id, direction, amount, balance_after, sequence, created_at)
SELECT l.transaction_id, l.account_id, l.direction, l.amount, a.cleared + l.running, a.last_sequence + l.number, l.at
FROM load_line l JOIN accounts_account a ON a.id = l.account_id
ORDER BY l.at, l.transaction_id, l.direction;

UPDATE accounts_account a
SET cleared = a.cleared + s.change, last_sequence = a.last_sequence + s.entries,
    debits = a.debits + CASE a.kind WHEN 'customer' THEN s.debits ELSE 0 END,
    sent = a.sent + CASE a.kind WHEN 'customer' THEN s.sent ELSE 0 END
FROM (
    SELECT each.account_id, sum(each.change)::bigint AS change, sum(each.entries)::bigint AS entries,
           sum(each.debits)::bigint AS debits, sum(each.sent)::bigint AS sent
    FROM (
        SELECT l.account_id, l.change, 1 AS entries, 0 AS debits, 0 AS sent FROM load_line l
        UNION ALL
        SELECT p.debit, 0, 0, 1, p.amount FROM load_payment p WHERE p.fate <> 'refused'
    ) each
    GROUP BY each.account_id
) s
WHERE a.id = s.account_id;
UPDATE ledger_transaction t
SET status = 'cleared', approved_at = p.at + interval '500 milliseconds', cleared_at = p.at + interval '1 second'
FROM load_payment p WHERE t.id = p.id AND p.fate = 'cleared';
UPDATE ledger_transaction t
SET status = 'failed', failure = 'cancelled', failed_at = p.at + interval '3 hours',
    waited = ledger_wait(t.created_at, NULL, p.at + interval '3 hours')
FROM load_payment p WHERE t.id = p.id AND p.fate = 'cancelled';

INSERT INTO ledger_statechange (machine, subject_id, from_state, to_state, actor_id, reason, request_id, at)
SELECT 'transaction', p.id, 'pending', CASE p.fate WHEN 'cleared' THEN 'cleared' ELSE 'failed' END,
       CASE p.fate WHEN 'cleared' THEN %(system)s ELSE p.initiator END, '', '',
       p.at + CASE p.fate WHEN 'cleared' THEN interval '1 second' ELSE interval '3 hours' END
FROM load_payment p WHERE p.fate <> 'refused' ORDER BY p.n;
