-- Guards on money. They hold for whoever asks, the tables' owner included.

-- A transaction's accounts have its currency.
ALTER TABLE ledger_transaction
    ADD CONSTRAINT transaction_debit_account_has_its_currency
        FOREIGN KEY (debit_account_id, currency) REFERENCES accounts_account (id, currency),
    ADD CONSTRAINT transaction_credit_account_has_its_currency
        FOREIGN KEY (credit_account_id, currency) REFERENCES accounts_account (id, currency);

-- What was asked never changes; what became of it is written once.
CREATE OR REPLACE FUNCTION transaction_is_immutable() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF ROW(NEW.id, NEW.kind, NEW.debit_account_id, NEW.credit_account_id, NEW.amount, NEW.currency, NEW.group_id,
           NEW.initiator_id, NEW.reference, NEW.metadata, NEW.beneficiary, NEW.reverses_id, NEW.created_at)
        IS DISTINCT FROM
       ROW(OLD.id, OLD.kind, OLD.debit_account_id, OLD.credit_account_id, OLD.amount, OLD.currency, OLD.group_id,
           OLD.initiator_id, OLD.reference, OLD.metadata, OLD.beneficiary, OLD.reverses_id, OLD.created_at)
        OR (OLD.approved_at IS NOT NULL AND NEW.approved_at IS DISTINCT FROM OLD.approved_at)
        OR (OLD.captured_amount IS NOT NULL AND NEW.captured_amount IS DISTINCT FROM OLD.captured_amount)
        OR (OLD.captured_at IS NOT NULL AND NEW.captured_at IS DISTINCT FROM OLD.captured_at)
        OR (OLD.cleared_at IS NOT NULL AND NEW.cleared_at IS DISTINCT FROM OLD.cleared_at)
        OR (OLD.failure <> '' AND NEW.failure <> OLD.failure)
        -- An ended transaction is history, down to the columns that were never written.
        OR (OLD.status <> 'pending' AND NEW IS DISTINCT FROM OLD) THEN
        RAISE EXCEPTION 'transaction % is immutable', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER transaction_is_immutable BEFORE UPDATE ON ledger_transaction
    FOR EACH ROW EXECUTE FUNCTION transaction_is_immutable();

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

-- Entries come in pairs that agree with their transaction and add up to zero. Once a statement, set-based.
CREATE OR REPLACE FUNCTION entries_balance() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF EXISTS (
        SELECT FROM new_entries e JOIN ledger_transaction t ON t.id = e.transaction_id
        GROUP BY e.transaction_id
        HAVING count(*) <> 2
            OR sum(CASE e.direction WHEN 'credit' THEN e.amount ELSE -e.amount END) <> 0
            OR bool_or(e.amount <> coalesce(t.captured_amount, t.amount))
            OR bool_or(e.account_id <> CASE e.direction WHEN 'debit' THEN t.debit_account_id ELSE t.credit_account_id END)
            OR bool_or(t.status <> 'pending')
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
        SELECT FROM new_rows n JOIN old_rows o ON o.id = n.id
        WHERE n.status = 'cleared' AND o.status = 'pending'
            AND (SELECT count(*) FROM ledger_entry e WHERE e.transaction_id = n.id) <> 2
    ) THEN
        RAISE EXCEPTION 'a cleared transaction has two entries'
            USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER cleared_has_entries AFTER UPDATE ON ledger_transaction
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION cleared_has_entries();

-- Rows that are updated a few times in their life: room on the page keeps the updates off the indexes.
ALTER TABLE ledger_transaction SET (fillfactor = 80);
ALTER TABLE ledger_workitem SET (fillfactor = 70);
