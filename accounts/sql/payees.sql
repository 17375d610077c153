-- Guards of whom a customer pays and of the names by which customers are found.

-- What a payment out went by is what it was when it was chosen: only the customer's own word for it may change, and
-- that it was removed. Reads nothing but the row.
CREATE OR REPLACE FUNCTION beneficiary_is_immutable() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF (NEW.id, NEW.customer_id, NEW.iban, NEW.holder, NEW.created_at)
            IS DISTINCT FROM (OLD.id, OLD.customer_id, OLD.iban, OLD.holder, OLD.created_at)
        OR OLD.removed_at IS NOT NULL AND NEW IS DISTINCT FROM OLD THEN
        RAISE EXCEPTION 'a beneficiary keeps its IBAN and holder, and a removed one stays as it is'
            USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER beneficiary_is_immutable BEFORE UPDATE ON accounts_beneficiary
    FOR EACH ROW EXECUTE FUNCTION beneficiary_is_immutable();

-- Who held which handle from when to when: the end is written once, nothing else ever. Reads nothing but the row.
CREATE OR REPLACE FUNCTION handle_is_immutable() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF (NEW.id, NEW.customer_id, NEW.handle, NEW.claimed_at)
            IS DISTINCT FROM (OLD.id, OLD.customer_id, OLD.handle, OLD.claimed_at)
        OR OLD.given_up_at IS NOT NULL AND NEW IS DISTINCT FROM OLD THEN
        RAISE EXCEPTION 'a handle keeps its customer, and one that was given up stays given up'
            USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER handle_is_immutable BEFORE UPDATE ON accounts_handle
    FOR EACH ROW EXECUTE FUNCTION handle_is_immutable();

-- A handle that was given up rests for two years before somebody else may claim it, so that nobody is paid by a name
-- that payers knew as another person's; who gave it up may have it back. AFTER INSERT, when the unique index has let the
-- row in: whoever held it a moment ago has committed, and this statement sees it. Reads handle_by_name.
CREATE OR REPLACE FUNCTION handle_rests_before_it_changes_hands() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF EXISTS (
        SELECT 1 FROM accounts_handle AS earlier
        WHERE earlier.handle = NEW.handle AND earlier.customer_id <> NEW.customer_id
          AND (earlier.given_up_at IS NULL OR earlier.given_up_at > statement_timestamp() - interval '2 years')
    ) THEN
        RAISE EXCEPTION 'the handle was somebody else''s not long ago'
            USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER handle_rests_before_it_changes_hands AFTER INSERT ON accounts_handle
    FOR EACH ROW EXECUTE FUNCTION handle_rests_before_it_changes_hands();
