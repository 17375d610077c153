-- Guards that every app's tables use, and those of this app. Plain SQL: nothing in a session can switch them off.

-- check_state(column, pair, ...): refuses a first state or a change of state that the declared machine does not have.
-- A pair is 'from>to'; a first state is '>to'. Its triggers call it for what is not legal by their own condition, and it looks
-- again. Reads nothing but the row.
CREATE OR REPLACE FUNCTION check_state() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_column text := TG_ARGV[0];
    v_to text := to_jsonb(NEW) ->> v_column;
    v_from text := CASE TG_OP WHEN 'UPDATE' THEN to_jsonb(OLD) ->> v_column ELSE '' END;
BEGIN
    IF v_from <> v_to AND NOT (v_from || '>' || v_to) = ANY (TG_ARGV[1:]) THEN
        RAISE EXCEPTION '%.% may not go from "%" to "%"', TG_TABLE_NAME, v_column, v_from, v_to
            USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END $$;

-- refuse_change(): for tables that only grow, and for rows that are never removed.
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '% of % is refused: its rows are kept as they are', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
END $$;

-- An account starts empty, and a customer's account starts as a request.
CREATE OR REPLACE FUNCTION account_starts_empty() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF ROW(NEW.cleared, NEW.reserved, NEW.last_sequence, NEW.debits, NEW.sent) <> ROW(0, 0, 0, 0, 0)
        OR (NEW.kind = 'customer' AND NEW.status <> 'requested') THEN
        RAISE EXCEPTION 'an account starts empty, and a customer''s as a request'
            USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER account_starts_empty BEFORE INSERT ON accounts_account
    FOR EACH ROW EXECUTE FUNCTION account_starts_empty();

-- What others refer to stays what it is: with rows that are never removed, this stands in for foreign keys to them.
CREATE TRIGGER account_keeps_its_currency BEFORE UPDATE ON accounts_account
    FOR EACH ROW WHEN (NEW.id <> OLD.id OR NEW.currency <> OLD.currency) EXECUTE FUNCTION refuse_change();
CREATE TRIGGER principal_keeps_its_id BEFORE UPDATE ON accounts_principal
    FOR EACH ROW WHEN (NEW.id <> OLD.id) EXECUTE FUNCTION refuse_change();

-- A key's principal is known. Once a statement, for a thousand keys are claimed by one.
CREATE OR REPLACE FUNCTION key_has_its_principal() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp
SET enable_seqscan = off AS $$
BEGIN
    IF EXISTS (
        SELECT FROM (SELECT DISTINCT principal_id FROM new_keys) n
        LEFT JOIN LATERAL (SELECT i.id FROM accounts_principal i WHERE i.id = n.principal_id OFFSET 0) p ON true
        WHERE p.id IS NULL
    ) THEN
        RAISE EXCEPTION 'a key is claimed by a principal'
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER key_has_its_principal AFTER INSERT ON accounts_idempotencyclaim
    REFERENCING NEW TABLE AS new_keys FOR EACH STATEMENT EXECUTE FUNCTION key_has_its_principal();

-- Balances change with each posting: room on the page keeps those updates off the indexes (HOT).
ALTER TABLE accounts_account SET (fillfactor = 50);
