-- Guards on money. They hold for whoever asks, the tables' owner included.

-- A transaction's accounts have its currency, and who asked for it is known. Once a statement: as foreign keys, row by row, this
-- took a third of posting a thousand. It stands in for them: none of these rows is ever removed, what is looked at here never
-- changes (account_keeps_its_currency, principal_keeps_its_id, transaction_is_immutable), so there is nothing to lock either.
-- `OFFSET 0` keeps the planner to looking each one up, and the setting to doing so by its index, also where the plan is from when
-- there were few accounts.
CREATE OR REPLACE FUNCTION transaction_refers_to_rows() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp
SET enable_seqscan = off AS $$
DECLARE
    v_wrong text;
BEGIN
    SELECT wrong.name INTO v_wrong FROM (
        SELECT CASE WHEN d.currency IS DISTINCT FROM n.currency THEN 'transaction_debit_account_has_its_currency'
               ELSE 'transaction_credit_account_has_its_currency' END AS name
        FROM new_transactions n
        LEFT JOIN LATERAL (SELECT a.currency FROM accounts_account a WHERE a.id = n.debit_account_id OFFSET 0) d ON true
        LEFT JOIN LATERAL (SELECT a.currency FROM accounts_account a WHERE a.id = n.credit_account_id OFFSET 0) c ON true
        WHERE d.currency IS DISTINCT FROM n.currency OR c.currency IS DISTINCT FROM n.currency
        UNION ALL
        SELECT 'transaction_initiator_is_a_principal'
        FROM (SELECT DISTINCT initiator_id FROM new_transactions) n
        LEFT JOIN LATERAL (SELECT i.id FROM accounts_principal i WHERE i.id = n.initiator_id OFFSET 0) p ON true
        WHERE p.id IS NULL
    ) wrong LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'a transaction refers to an account in its currency and to a principal: %', v_wrong
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = v_wrong, TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER transaction_refers_to_rows AFTER INSERT ON ledger_transaction
    REFERENCING NEW TABLE AS new_transactions FOR EACH STATEMENT EXECUTE FUNCTION transaction_refers_to_rows();

-- What was asked never changes; what became of it is written once, and an ended transaction is history, down to the columns that
-- were never written. The condition is the trigger's own and not its function's:
-- to call one for each row that clears took a tenth of clearing.
CREATE OR REPLACE FUNCTION transaction_is_immutable() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'transaction % is immutable', OLD.id
        USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
END $$;

CREATE TRIGGER transaction_is_immutable BEFORE UPDATE ON ledger_transaction
    FOR EACH ROW WHEN (
        NEW.id IS DISTINCT FROM OLD.id
        OR NEW.kind IS DISTINCT FROM OLD.kind
        OR NEW.debit_account_id IS DISTINCT FROM OLD.debit_account_id
        OR NEW.credit_account_id IS DISTINCT FROM OLD.credit_account_id
        OR NEW.amount IS DISTINCT FROM OLD.amount
        OR NEW.currency IS DISTINCT FROM OLD.currency
        OR NEW.group_id IS DISTINCT FROM OLD.group_id
        OR NEW.initiator_id IS DISTINCT FROM OLD.initiator_id
        OR NEW.reference IS DISTINCT FROM OLD.reference
        OR NEW.metadata IS DISTINCT FROM OLD.metadata
        OR NEW.beneficiary IS DISTINCT FROM OLD.beneficiary
        OR NEW.reverses_id IS DISTINCT FROM OLD.reverses_id
        OR NEW.created_at IS DISTINCT FROM OLD.created_at
        OR NEW.expires_at IS DISTINCT FROM OLD.expires_at
        OR NEW.debits_before IS DISTINCT FROM OLD.debits_before
        OR NEW.sent_before IS DISTINCT FROM OLD.sent_before
        OR (OLD.approved_at IS NOT NULL AND NEW.approved_at IS DISTINCT FROM OLD.approved_at)
        OR (OLD.captured_amount IS NOT NULL AND NEW.captured_amount IS DISTINCT FROM OLD.captured_amount)
        OR (OLD.captured_at IS NOT NULL AND NEW.captured_at IS DISTINCT FROM OLD.captured_at)
        OR (OLD.cleared_at IS NOT NULL AND NEW.cleared_at IS DISTINCT FROM OLD.cleared_at)
        OR (OLD.failure <> '' AND NEW.failure IS DISTINCT FROM OLD.failure)
        OR (OLD.failed_at IS NOT NULL AND NEW.failed_at IS DISTINCT FROM OLD.failed_at)
        OR (OLD.status <> 'pending' AND NEW.* IS DISTINCT FROM OLD.*)
    ) EXECUTE FUNCTION transaction_is_immutable();

-- The point of no return: a withdrawal that the bank may have can only be failed by the bank's word.
CREATE OR REPLACE FUNCTION withdrawal_handed_over_stays() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM ledger_railtransfer r
               WHERE r.transaction_id = NEW.id AND r.status IN ('submitted', 'confirmed')) THEN
        RAISE EXCEPTION 'withdrawal % was handed to the bank: only its word can fail it', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER withdrawal_handed_over_stays BEFORE UPDATE OF status ON ledger_transaction
    FOR EACH ROW WHEN (NEW.kind = 'withdrawal' AND NEW.status = 'failed' AND OLD.status = 'pending')
    EXECUTE FUNCTION withdrawal_handed_over_stays();

-- Reversals go back the way the money came, and never add up to more than what was cleared. The original is locked, so of
-- twenty at once each sees those before it. WL004: it can't be reversed; WL005: that is more than is left.
CREATE OR REPLACE FUNCTION reversal_is_covered() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_original ledger_transaction%ROWTYPE;
    v_left bigint;
BEGIN
    SELECT * INTO v_original FROM ledger_transaction t WHERE t.id = NEW.reverses_id FOR NO KEY UPDATE;
    IF v_original.status IS DISTINCT FROM 'cleared' OR v_original.kind NOT IN ('transfer', 'fee')
        OR NEW.credit_account_id <> v_original.debit_account_id OR NEW.currency <> v_original.currency
        OR (NEW.debit_account_id <> v_original.credit_account_id AND NOT EXISTS (
            SELECT FROM accounts_account a WHERE a.id = NEW.debit_account_id AND a.kind = 'system' AND a.purpose = 'loss')) THEN
        RAISE EXCEPTION 'transaction % is not to be reversed like this', NEW.reverses_id
            USING ERRCODE = 'WL004', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME,
                DETAIL = jsonb_build_object('transaction_status', v_original.status)::text;
    END IF;
    SELECT coalesce(v_original.captured_amount, v_original.amount) - coalesce(sum(r.amount), 0) INTO v_left
    FROM ledger_transaction r WHERE r.reverses_id = NEW.reverses_id AND r.status <> 'failed';
    IF NEW.amount > v_left THEN
        RAISE EXCEPTION 'only % of transaction % is left to be reversed', v_left, NEW.reverses_id
            USING ERRCODE = 'WL005', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME,
                DETAIL = jsonb_build_object('left', v_left)::text;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER reversal_is_covered BEFORE INSERT ON ledger_transaction
    FOR EACH ROW WHEN (NEW.reverses_id IS NOT NULL) EXECUTE FUNCTION reversal_is_covered();

-- What staff move takes two of them: an adjustment that touches a customer's account, a payout of the wallet's own money,
-- and a reversal that the owner of the credited account did not ask for himself.
CREATE OR REPLACE FUNCTION staff_money_has_two_people() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_needed boolean;
BEGIN
    v_needed := CASE NEW.kind
        WHEN 'adjustment' THEN EXISTS (
            SELECT FROM accounts_account a
            WHERE a.id IN (NEW.debit_account_id, NEW.credit_account_id) AND a.kind = 'customer')
        WHEN 'withdrawal' THEN EXISTS (
            SELECT FROM accounts_account a WHERE a.id = NEW.debit_account_id AND a.kind = 'system')
        ELSE NOT EXISTS (
            SELECT FROM accounts_account a JOIN accounts_customer c ON c.id = a.customer_id
            JOIN accounts_principal p ON p.user_id = c.user_id
            WHERE a.id = NEW.debit_account_id AND p.id = NEW.initiator_id)
    END;
    IF v_needed AND NOT EXISTS (
        SELECT FROM ledger_adjustment j
        WHERE j.transaction_id = NEW.id AND j.status = 'posted' AND j.debit_account_id = NEW.debit_account_id
            AND j.credit_account_id = NEW.credit_account_id AND j.amount = NEW.amount AND j.currency = NEW.currency
            AND j.reverses_id IS NOT DISTINCT FROM NEW.reverses_id
            AND j.beneficiary IS NOT DISTINCT FROM NEW.beneficiary) THEN
        RAISE EXCEPTION '% % needs an adjustment that two people agreed on', NEW.kind, NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER staff_money_has_two_people BEFORE INSERT ON ledger_transaction
    FOR EACH ROW WHEN (NEW.kind = 'adjustment' OR NEW.kind = 'withdrawal' OR NEW.kind = 'reversal')
    EXECUTE FUNCTION staff_money_has_two_people();

-- What was proposed never changes; who decided, and how, is written once.
CREATE OR REPLACE FUNCTION adjustment_is_immutable() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF OLD.status <> 'proposed'
        OR ROW(NEW.id, NEW.kind, NEW.debit_account_id, NEW.credit_account_id, NEW.amount, NEW.currency, NEW.reverses_id,
               NEW.about_id, NEW.escalation_id, NEW.beneficiary, NEW.reference, NEW.reason, NEW.maker_id, NEW.created_at)
        IS DISTINCT FROM
           ROW(OLD.id, OLD.kind, OLD.debit_account_id, OLD.credit_account_id, OLD.amount, OLD.currency, OLD.reverses_id,
               OLD.about_id, OLD.escalation_id, OLD.beneficiary, OLD.reference, OLD.reason, OLD.maker_id, OLD.created_at) THEN
        RAISE EXCEPTION 'adjustment % is immutable', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER adjustment_is_immutable BEFORE UPDATE ON ledger_adjustment
    FOR EACH ROW EXECUTE FUNCTION adjustment_is_immutable();

-- Entries come in pairs that agree with their transaction and add up to zero. Once a statement, set-based: each transaction
-- is looked up by its id, and `OFFSET 0` keeps the planner from reading all that there ever were in order to join with them.
-- This stands in for foreign keys of entries as well: an entry without its pending transaction is refused, its account is
-- one of that transaction's, which is held above, and neither row can go or change its id.
CREATE OR REPLACE FUNCTION entries_balance() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF EXISTS (
        SELECT FROM new_entries e
        LEFT JOIN LATERAL (
            SELECT t.debit_account_id, t.credit_account_id, t.amount, t.captured_amount, t.status
            FROM ledger_transaction t WHERE t.id = e.transaction_id OFFSET 0
        ) t ON true
        GROUP BY e.transaction_id
        HAVING count(*) <> 2
            OR sum(CASE e.direction WHEN 'credit' THEN e.amount ELSE -e.amount END) <> 0
            OR bool_or(e.amount <> coalesce(t.captured_amount, t.amount))
            OR bool_or(e.account_id <> CASE e.direction WHEN 'debit' THEN t.debit_account_id ELSE t.credit_account_id END)
            OR bool_or(t.status IS DISTINCT FROM 'pending')
    ) THEN
        RAISE EXCEPTION 'entries must be one debit and one credit as their pending transaction says'
            USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER entries_balance AFTER INSERT ON ledger_entry
    REFERENCING NEW TABLE AS new_entries FOR EACH STATEMENT EXECUTE FUNCTION entries_balance();

-- A transaction is cleared only with its two entries in place.
CREATE OR REPLACE FUNCTION cleared_has_entries() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF EXISTS (
        SELECT FROM new_rows n
        WHERE n.status = 'cleared' AND (SELECT count(*) FROM ledger_entry e WHERE e.transaction_id = n.id) <> 2
    ) THEN
        RAISE EXCEPTION 'a cleared transaction has two entries'
            USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER cleared_has_entries AFTER UPDATE ON ledger_transaction
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION cleared_has_entries();

-- Rows that are updated a few times in their life: room on the page keeps the updates off the indexes. A transaction is twice:
-- with 60, clearing wrote a third more to the log (docs/performance.md).
ALTER TABLE ledger_transaction SET (fillfactor = 45);
ALTER TABLE ledger_workitem SET (fillfactor = 70);
