from django.db import migrations

# Statement by statement, in the order of the keys, libraries before users: so do all who wait for several counters. An
# update that changes neither owner nor size, as every stage's, runs nothing.
FORWARDS = """
CREATE FUNCTION photos_usage_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO accounts_libraryusage (library_id, used_bytes)
        SELECT library_id, sum(byte_size) FROM changed GROUP BY library_id ORDER BY library_id
        ON CONFLICT (library_id) DO UPDATE
        SET used_bytes = accounts_libraryusage.used_bytes + excluded.used_bytes;
    INSERT INTO accounts_userusage (user_id, used_bytes)
        SELECT uploader_id, sum(byte_size) FROM changed WHERE uploader_id IS NOT NULL
        GROUP BY uploader_id ORDER BY uploader_id
        ON CONFLICT (user_id) DO UPDATE SET used_bytes = accounts_userusage.used_bytes + excluded.used_bytes;
    RETURN NULL;
END
$$;
CREATE FUNCTION photos_usage_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE gone record;
BEGIN
    FOR gone IN SELECT library_id AS id, sum(byte_size) AS bytes FROM changed GROUP BY library_id ORDER BY library_id
    LOOP
        UPDATE accounts_libraryusage SET used_bytes = greatest(0, used_bytes - gone.bytes) WHERE library_id = gone.id;
    END LOOP;
    FOR gone IN SELECT uploader_id AS id, sum(byte_size) AS bytes FROM changed WHERE uploader_id IS NOT NULL
        GROUP BY uploader_id ORDER BY uploader_id
    LOOP
        UPDATE accounts_userusage SET used_bytes = greatest(0, used_bytes - gone.bytes) WHERE user_id = gone.id;
    END LOOP;
    RETURN NULL;
END
$$;
CREATE FUNCTION photos_usage_moved() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- a library's counter only if it changes: an account that is erased has photos in many, in no order
    IF (OLD.library_id, OLD.byte_size) IS DISTINCT FROM (NEW.library_id, NEW.byte_size) THEN
        UPDATE accounts_libraryusage SET used_bytes = greatest(0, used_bytes - OLD.byte_size)
            WHERE library_id = OLD.library_id;
        INSERT INTO accounts_libraryusage (library_id, used_bytes) VALUES (NEW.library_id, NEW.byte_size)
            ON CONFLICT (library_id) DO UPDATE SET used_bytes = accounts_libraryusage.used_bytes + NEW.byte_size;
    END IF;
    UPDATE accounts_userusage SET used_bytes = greatest(0, used_bytes - OLD.byte_size) WHERE user_id = OLD.uploader_id;
    IF NEW.uploader_id IS NOT NULL THEN
        INSERT INTO accounts_userusage (user_id, used_bytes) VALUES (NEW.uploader_id, NEW.byte_size)
            ON CONFLICT (user_id) DO UPDATE SET used_bytes = accounts_userusage.used_bytes + NEW.byte_size;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER photos_usage_inserted AFTER INSERT ON photos_photo REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION photos_usage_inserted();
CREATE TRIGGER photos_usage_deleted AFTER DELETE ON photos_photo REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION photos_usage_deleted();
CREATE TRIGGER photos_usage_moved AFTER UPDATE OF library_id, uploader_id, byte_size ON photos_photo FOR EACH ROW
    WHEN ((OLD.library_id, OLD.uploader_id, OLD.byte_size)
        IS DISTINCT FROM (NEW.library_id, NEW.uploader_id, NEW.byte_size))
    EXECUTE FUNCTION photos_usage_moved();
INSERT INTO accounts_libraryusage (library_id, used_bytes)
    SELECT library_id, sum(byte_size) FROM photos_photo GROUP BY library_id;
INSERT INTO accounts_userusage (user_id, used_bytes)
    SELECT uploader_id, sum(byte_size) FROM photos_photo WHERE uploader_id IS NOT NULL GROUP BY uploader_id;
"""
BACKWARDS = """
DROP TRIGGER photos_usage_moved ON photos_photo;
DROP TRIGGER photos_usage_deleted ON photos_photo;
DROP TRIGGER photos_usage_inserted ON photos_photo;
DROP FUNCTION photos_usage_moved();
DROP FUNCTION photos_usage_deleted();
DROP FUNCTION photos_usage_inserted();
DELETE FROM accounts_libraryusage;
DELETE FROM accounts_userusage;
"""


class Migration(migrations.Migration):
    dependencies = [("photos", "0003_face_suppressions"), ("accounts", "0010_consent_and_erasure")]

    operations = [migrations.RunSQL(FORWARDS, BACKWARDS)]
