-- What counts how much stays as it was written, and two people have agreed to what is in force.
--
-- risk_weights_are_as_agreed: of a version nothing changes but its status, and it comes into force only after somebody else
-- than its author has agreed to that. Locks nothing of its own.
CREATE OR REPLACE FUNCTION risk_weights_are_as_agreed() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF (to_jsonb(NEW) - 'status') <> (to_jsonb(OLD) - 'status') THEN
        RAISE EXCEPTION 'a version of the risk weights is not changed; a new one is written'
            USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
    END IF;
    IF NEW.status = 'active' AND OLD.status <> 'active' AND NOT EXISTS (
        SELECT FROM compliance_riskagreement a WHERE a.weights_id = NEW.id AND a.maker_id = NEW.author_id
    ) THEN
        RAISE EXCEPTION 'nobody else has agreed that these weights come into force'
            USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER risk_weights_are_as_agreed BEFORE UPDATE ON compliance_riskweights
    FOR EACH ROW EXECUTE FUNCTION risk_weights_are_as_agreed();
