-- Customers who are verified and their open accounts, in one transaction. With every trigger on: each is born as the machine
-- wants it and moved as the machine allows, and the log says so. Locks what it makes; nothing else.
-- %(accounts)s: how many accounts, dealt out to customers who have one in each of %(currencies)s.
-- {id} is an id of the instant p.at, and they are made a millisecond apart: who comes after another has the higher id, as where
-- people sign up one by one.
CREATE TEMPORARY TABLE load_customer ON COMMIT DROP AS
SELECT p.n AS number, {id} AS id, {id} AS user_id, {id} AS principal_id, {id} AS profile_id
FROM (
    SELECT n, %(beginning)s::timestamptz + n * interval '1 millisecond' AS at
    FROM generate_series(0, (%(accounts)s - 1) / cardinality(%(currencies)s::text[])) n
) p;

INSERT INTO accounts_user (id, password, is_superuser, first_name, last_name, email, is_staff, is_active, date_joined)
SELECT c.user_id, '!', false, '', '', 'load-' || %(run)s || '-' || c.number || '@example.invalid', false, true, %(beginning)s
FROM load_customer c;

INSERT INTO accounts_principal (id, kind, user_id) SELECT c.principal_id, 'user', c.user_id FROM load_customer c;

INSERT INTO accounts_customer (id, user_id, kyc_status, kyc_reason, created_at)
SELECT c.id, c.user_id, 'unverified', '', %(beginning)s FROM load_customer c;

INSERT INTO accounts_profileversion (
    id, customer_id, number, first_name, last_name, date_of_birth, country, address, document_type, document_number)
SELECT c.profile_id, c.id, 1, 'Load', 'Customer ' || c.number, '1990-12-10', 'DE', 'Example Street 1, Berlin', 'passport',
       'L' || c.number
FROM load_customer c;

UPDATE accounts_customer a SET profile_id = c.profile_id, kyc_status = 'pending' FROM load_customer c WHERE a.id = c.id;
UPDATE accounts_customer a SET verified_profile_id = c.profile_id, kyc_status = 'verified'
FROM load_customer c WHERE a.id = c.id;

INSERT INTO accounts_statechange (machine, subject_id, from_state, to_state, actor_id, reason, request_id, at)
SELECT 'customer', c.id, step.from_state, step.to_state, %(system)s, '', '', %(beginning)s
FROM load_customer c
CROSS JOIN (VALUES (1, '', 'unverified'), (2, 'unverified', 'pending'), (3, 'pending', 'verified'))
    AS step (number, from_state, to_state)
ORDER BY c.number, step.number;

WITH made AS (
    INSERT INTO accounts_customerlevel (id, customer_id, level, limits)
    SELECT gen_random_uuid(), c.id, 'basic', '' FROM load_customer c RETURNING id
)
INSERT INTO accounts_statechange (machine, subject_id, from_state, to_state, actor_id, reason, request_id, at)
SELECT 'customerlevel', made.id, '', 'basic', %(system)s, '', '', %(beginning)s FROM made;

CREATE TEMPORARY TABLE load_account ON COMMIT DROP AS
SELECT p.n AS number, {id} AS id, c.id AS customer_id, c.principal_id,
       (%(currencies)s::text[])[1 + p.n %% cardinality(%(currencies)s::text[])] AS currency
FROM (
    SELECT n, %(beginning)s::timestamptz + n * interval '1 millisecond' AS at FROM generate_series(0, %(accounts)s - 1) n
) p
JOIN load_customer c ON c.number = p.n / cardinality(%(currencies)s::text[]);

INSERT INTO accounts_account (
    id, kind, purpose, customer_id, currency, label, status, status_reason, cleared, reserved, last_sequence, created_at)
SELECT a.id, 'customer', '', a.customer_id, a.currency, 'load ' || a.number, 'requested', '', 0, 0, 0, %(beginning)s
FROM load_account a;
UPDATE accounts_account x SET status = 'open' FROM load_account a WHERE x.id = a.id;

INSERT INTO accounts_statechange (machine, subject_id, from_state, to_state, actor_id, reason, request_id, at)
SELECT 'account', a.id, step.from_state, step.to_state, %(system)s, '', '', %(beginning)s
FROM load_account a
CROSS JOIN (VALUES (1, '', 'requested'), (2, 'requested', 'open')) AS step (number, from_state, to_state)
ORDER BY a.number, step.number;

SELECT a.id, a.principal_id, a.currency FROM load_account a ORDER BY a.number
