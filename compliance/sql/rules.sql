-- What is written of rules stays as it was written, and two people have agreed to what is in force.
--
-- rule_version_is_as_agreed: of a version nothing changes but its status. It becomes active only after a second person has
-- agreed to that; one that is active ends only after a second person has agreed to that, or to the version of the same rule
-- that takes its place. Locks nothing of its own: whoever moves a version has locked its rule's row.
CREATE OR REPLACE FUNCTION rule_version_is_as_agreed() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF (to_jsonb(NEW) - 'status') <> (to_jsonb(OLD) - 'status') THEN
        RAISE EXCEPTION 'a version of a rule is not changed; a new one is written' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.status = 'active' AND OLD.status <> 'active' AND NOT EXISTS (
        SELECT FROM compliance_ruledecision d
        WHERE d.version_id = NEW.id AND d.change = 'activate' AND d.step = 'agreed'
    ) THEN
        RAISE EXCEPTION 'nobody has agreed that this version becomes active' USING ERRCODE = 'check_violation';
    END IF;
    IF OLD.status = 'active' AND NEW.status <> 'active' AND NOT EXISTS (
        SELECT FROM compliance_ruledecision d
        WHERE d.version_id = NEW.id AND d.change = 'retire' AND d.step = 'agreed'
        UNION ALL
        SELECT FROM compliance_ruleversion next
        JOIN compliance_ruledecision d ON d.version_id = next.id
        WHERE next.rule_id = NEW.rule_id AND next.status = 'shadow' AND d.change = 'activate' AND d.step = 'agreed'
    ) THEN
        RAISE EXCEPTION 'nobody has agreed that this version ends' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;

CREATE OR REPLACE TRIGGER rule_version_is_as_agreed BEFORE UPDATE ON compliance_ruleversion
    FOR EACH ROW EXECUTE FUNCTION rule_version_is_as_agreed();

-- rule_answer_is_to_its_proposal: an answer names the version, the change and the maker of what it answers.
CREATE OR REPLACE FUNCTION rule_answer_is_to_its_proposal() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NEW.answers_id IS NOT NULL AND NOT EXISTS (
        SELECT FROM compliance_ruledecision p
        WHERE p.id = NEW.answers_id AND p.step = 'proposed'
            AND p.version_id = NEW.version_id AND p.change = NEW.change AND p.maker_id = NEW.maker_id
    ) THEN
        RAISE EXCEPTION 'this answers another proposal than it says' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;

CREATE OR REPLACE TRIGGER rule_answer_is_to_its_proposal BEFORE INSERT ON compliance_ruledecision
    FOR EACH ROW EXECUTE FUNCTION rule_answer_is_to_its_proposal();
