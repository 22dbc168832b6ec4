"""The perceptual hashes of photos, as rows of their own."""

from uuid import UUID

from django.db import connection

_NOTE = """
INSERT INTO photos_photofingerprint AS old (photo_id, library_id, hash, is_grouped)
SELECT id, library_id, %(hash)s, false FROM photos_photo WHERE id = %(photo)s
ON CONFLICT (photo_id) DO UPDATE SET hash = excluded.hash, is_grouped = false WHERE old.hash <> excluded.hash
"""


def note(*, photo_id: UUID, perceptual_hash: int) -> None:
    """Note a photo's hash, in the caller's transaction; near-duplicates are looked for if it is another than before."""
    with connection.cursor() as cursor:
        cursor.execute(_NOTE, {"photo": photo_id, "hash": perceptual_hash})
