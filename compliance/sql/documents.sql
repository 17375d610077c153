-- Guards of what customers have sent.

-- A document is judged and never changed. Reads nothing but the row.
CREATE OR REPLACE FUNCTION document_is_immutable() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF (NEW.id, NEW.customer_id, NEW.kind, NEW.expires_on, NEW.media_type, NEW.size, NEW.sha256, NEW.created_at)
        IS DISTINCT FROM
        (OLD.id, OLD.customer_id, OLD.kind, OLD.expires_on, OLD.media_type, OLD.size, OLD.sha256, OLD.created_at) THEN
        RAISE EXCEPTION 'a document stays as it was sent'
            USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER document_is_immutable BEFORE UPDATE ON compliance_document
    FOR EACH ROW EXECUTE FUNCTION document_is_immutable();
