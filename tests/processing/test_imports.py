"""Imports as work: what they take in, and that they go on wherever they were cut off."""

import factories
import photo_samples
import pytest

from accounts.models import Library, User
from processing.models import Import, ImportedFile
from processing.services import imports

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("photo_store")]


def test_x(library: Library, settings, tmp_path) -> None:
    from config.settings.storage import source_storages
    root = tmp_path / "camera"
    root.mkdir()
    settings.STORAGES = {**settings.STORAGES, **source_storages({"camera": str(root)})}
    for n in range(5):
        (root / f"{n}.jpg").write_bytes(photo_samples.picture())
    (root / "bad.jpg").write_bytes(b"bad")
    by = factories.make_user(is_superuser=True)
    made = imports.start(library_id=library.pk, source="camera", by=by)
    assert photo_samples.run_library_work("import") == 1
    made.refresh_from_db()
    print(made.state, made.counts, made.seconds)
    print(list(library.runs.values("state", "error_code", "error_detail", "report", "traceback")))
    print(list(ImportedFile.objects.values("path", "state", "code", "photo_id")))
    again = imports.rescan(import_id=made.pk, by=by)
    (root / "1.jpg").unlink()
    (root / "2.jpg").write_bytes(photo_samples.picture())
    (root / "9.jpg").write_bytes(photo_samples.picture())
    assert photo_samples.run_library_work("import") == 1
    again.refresh_from_db()
    print(again.state, again.counts)
    assert 0
