from django.db import migrations

# Nobody deletes an event, and of an event nothing is written but its place in the chain, once. TRUNCATE is left to those
# who own the table, who could drop a trigger too: the chain shows it.
FORWARDS = """
CREATE FUNCTION accounts_audit_event_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.sequence IS NULL AND NEW.sequence IS NOT NULL
        AND (to_jsonb(NEW) - '{sequence,previous_hash,hash}'::text[])
            = (to_jsonb(OLD) - '{sequence,previous_hash,hash}'::text[])
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the audit trail is append-only' USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER accounts_audit_event_append_only BEFORE UPDATE OR DELETE ON accounts_auditevent
    FOR EACH ROW EXECUTE FUNCTION accounts_audit_event_append_only();
"""
BACKWARDS = """
DROP TRIGGER accounts_audit_event_append_only ON accounts_auditevent;
DROP FUNCTION accounts_audit_event_append_only();
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0004_audit_and_api_keys")]

    operations = [migrations.RunSQL(FORWARDS, BACKWARDS)]
