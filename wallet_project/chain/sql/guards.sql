-- What keeps the chain as it is. It holds for whoever asks, the tables' owner included.
CREATE OR REPLACE FUNCTION chain_refuses() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '% of % is refused: the chain only grows', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
END $$;

CREATE TRIGGER chain_block_only_grows BEFORE UPDATE OR DELETE ON chain_block
    FOR EACH ROW EXECUTE FUNCTION chain_refuses();
CREATE TRIGGER chain_block_is_not_emptied BEFORE TRUNCATE ON chain_block
    FOR EACH STATEMENT EXECUTE FUNCTION chain_refuses();
CREATE TRIGGER chain_section_only_grows BEFORE UPDATE OR DELETE ON chain_section
    FOR EACH ROW EXECUTE FUNCTION chain_refuses();
CREATE TRIGGER chain_section_is_not_emptied BEFORE TRUNCATE ON chain_section
    FOR EACH STATEMENT EXECUTE FUNCTION chain_refuses();
CREATE TRIGGER chain_source_only_grows BEFORE UPDATE OR DELETE ON chain_source
    FOR EACH ROW EXECUTE FUNCTION chain_refuses();
CREATE TRIGGER chain_source_is_not_emptied BEFORE TRUNCATE ON chain_source
    FOR EACH STATEMENT EXECUTE FUNCTION chain_refuses();
CREATE TRIGGER chain_epoch_only_grows BEFORE UPDATE OR DELETE ON chain_epoch
    FOR EACH ROW EXECUTE FUNCTION chain_refuses();
CREATE TRIGGER chain_epoch_is_not_emptied BEFORE TRUNCATE ON chain_epoch
    FOR EACH STATEMENT EXECUTE FUNCTION chain_refuses();
CREATE TRIGGER chain_salt_keeps_its_rows BEFORE DELETE ON chain_salt
    FOR EACH ROW EXECUTE FUNCTION chain_refuses();
CREATE TRIGGER chain_salt_is_not_emptied BEFORE TRUNCATE ON chain_salt
    FOR EACH STATEMENT EXECUTE FUNCTION chain_refuses();

-- A salt can be thrown away, once; a digest stays.
CREATE OR REPLACE FUNCTION chain_salt_is_only_forgotten() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF OLD.salt IS NULL OR NEW.salt IS NOT NULL
        OR ROW(NEW.id, NEW.source_id, NEW.row_id, NEW.column_name, NEW.digest)
            IS DISTINCT FROM ROW(OLD.id, OLD.source_id, OLD.row_id, OLD.column_name, OLD.digest) THEN
        RAISE EXCEPTION 'a salt can only be forgotten, once'
            USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER chain_salt_is_only_forgotten BEFORE UPDATE ON chain_salt
    FOR EACH ROW EXECUTE FUNCTION chain_salt_is_only_forgotten();

-- A block follows the last one.
CREATE OR REPLACE FUNCTION chain_block_follows() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM chain_block b WHERE b.number = NEW.number - 1 AND b.hash = NEW.previous AND b.to_xact = NEW.from_xact
    ) OR NEW.hash <> chain_hash(NEW) THEN
        RAISE EXCEPTION 'block % does not follow', NEW.number
            USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END $$;

-- The first one follows nothing, and a random number makes this chain another than any other.
DO $$
DECLARE
    v_first chain_block%ROWTYPE;
BEGIN
    INSERT INTO chain_epoch (number, system_identifier, xact_offset, after_block, reason)
    SELECT 1, c.system_identifier, 0, 0, 'first migrated' FROM pg_control_system() c;
    v_first.number := 0;
    v_first.epoch_id := 1;
    v_first.from_xact := 0;
    v_first.to_xact := 0;
    v_first.row_count := 0;
    v_first.sealed_at := clock_timestamp();
    v_first.previous := uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid());
    v_first.content := sha256('\x02'::bytea);
    v_first.hash := chain_hash(v_first);
    INSERT INTO chain_block SELECT v_first.*;
END $$;

CREATE TRIGGER chain_block_follows BEFORE INSERT ON chain_block
    FOR EACH ROW EXECUTE FUNCTION chain_block_follows();
