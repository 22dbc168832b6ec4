"""Quotas of libraries and users: exact however many upload at once, and right whatever goes and comes back."""

import io
import threading
from pathlib import Path
from typing import Any

import factories
import photo_samples
import pytest
from concurrency import in_a_thread, wait_until_blocked
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from pytest_django import Settings

from accounts.models import Library, LibraryUsage, User, UserUsage
from accounts.services import erasure
from accounts.services.libraries import create_library
from photos.models import ObjectSweep, Photo
from photos.problems import RefusedFileError
from photos.services import originals, quotas
from photos.services import trash as photo_trash
from processing import ingest
from processing.services import forgetting, object_sweeps, trash

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("photo_store")]


def upload(library: Library, data: bytes, uploader: User | None = None) -> Photo:
    return ingest.take_in(library=library, file=io.BytesIO(data), filename="a.jpg", uploader=uploader).photo


def used(subject: Library | User) -> int:
    subject = type(subject).objects.select_related("usage").get(pk=subject.pk)
    return subject.usage.used_bytes if hasattr(subject, "usage") else 0


def limit(subject: Library | User, size: int | None) -> None:
    type(subject).objects.filter(pk=subject.pk).update(quota_bytes=size)


def test_what_comes_and_goes_is_counted(library: Library) -> None:
    user, elsewhere = factories.make_user(), factories.make_library()
    photos = [upload(library, photo_samples.picture(), user) for _ in range(3)]
    other = upload(elsewhere, photo_samples.picture(), user)
    sizes = [photo.byte_size for photo in photos]
    assert (used(library), used(elsewhere), used(user)) == (sum(sizes), other.byte_size, sum(sizes) + other.byte_size)
    # the trash counts, and a way back out of it changes nothing
    photo_trash.move_to_trash(photo_ids=[photos[0].pk, photos[1].pk])
    trash.restore(photo_ids=[photos[1].pk])
    assert used(library) == sum(sizes)
    trash.purge(photo_ids=[photos[0].pk])
    assert (used(library), used(user)) == (sum(sizes[1:]), sum(sizes[1:]) + other.byte_size)
    erasure.forget_user(user=user, by=None)
    assert (used(library), UserUsage.objects.count()) == (sum(sizes[1:]), 0)
    forgetting.forget_library(library=library, by=None)
    photo_samples.run_library_work("forget")
    assert list(LibraryUsage.objects.values_list("library", "used_bytes")) == [(elsewhere.pk, other.byte_size)]
    assert quotas.recount(mend=False) == []


@pytest.mark.parametrize("of", ["library", "user"])
def test_what_does_not_fit_is_refused_before_it_is_stored(
    library: Library, photo_store: Path, monkeypatch: pytest.MonkeyPatch, of: str
) -> None:
    user = factories.make_user()
    first, second = photo_samples.picture(), photo_samples.picture()
    limited = library if of == "library" else user
    limit(limited, len(first) + len(second) - 1)
    upload(library, first, user)
    stored = photo_samples.files_below(photo_store)
    with monkeypatch.context() as patch:
        patch.setattr(originals, "store", lambda **_: 1 / 0)
        with pytest.raises(RefusedFileError) as refused:
            upload(library, second, user)
    error = refused.value
    assert (error.code, error.extra) == (
        "quota_exceeded",
        {"of": of, "used": len(first), "limit": len(first) + len(second) - 1},
    )
    assert f"it holds {len(first):,}, and the file does not fit" in error.detail
    assert error.detail.endswith("Delete photos for good, or ask for a larger quota.")
    with monkeypatch.context() as patch:
        # where others have filled the room since: the same answer
        patch.setattr(quotas, "require_room", lambda **_: None)
        with pytest.raises(RefusedFileError) as late:
            upload(library, second, user)
    assert (late.value.detail, late.value.extra) == (error.detail, error.extra)
    # what is there already costs nothing
    assert upload(library, first, user) == Photo.objects.get()
    assert (photo_samples.files_below(photo_store), ObjectSweep.objects.count()) == (stored, 0)
    assert (used(library), used(user)) == (len(first), len(first))
    # to the byte
    limit(limited, len(first) + len(second))
    upload(library, second, user)
    limit(limited, 0)
    with pytest.raises(RefusedFileError):
        upload(library, photo_samples.picture(), user)
    limit(limited, None)
    upload(library, photo_samples.picture(), user)


def test_those_who_race_do_not_exceed_it(library: Library, photo_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = [photo_samples.picture() for _ in range(12)]
    room = sorted(map(len, pictures))
    limit(library, sum(room[-5:]))
    users, start = [factories.make_user() for _ in range(3)], threading.Barrier(len(pictures))
    store = originals.store

    def store_together(**named: Any) -> Photo:
        # all of them have been told that there is room
        start.wait(20)
        return store(**named)

    monkeypatch.setattr(originals, "store", store_together)
    futures = [in_a_thread(upload, library, data, users[number % 3]) for number, data in enumerate(pictures)]
    errors = {future.exception(60) for future in futures} - {None}
    assert {getattr(error, "code", error) for error in errors} == {"quota_exceeded"}
    outcomes = [future.result().byte_size for future in futures if future.exception() is None]
    assert sum(outcomes) == used(library) <= sum(room[-5:])
    # none was refused that would have fitted
    assert used(library) + max(room) > sum(room[-5:])
    assert len(outcomes) < len(pictures)
    assert sum(used(user) for user in users) == used(library)
    assert len(photo_samples.files_below(photo_store)) == len(outcomes) == Photo.objects.count()
    assert quotas.recount(mend=False) == []


def test_uploads_purges_and_erasures_at_once_keep_it_right(library: Library) -> None:
    libraries, users = [library, factories.make_library()], [factories.make_user() for _ in range(4)]
    (stop, failures) = threading.Event(), []

    def uploads(number: int) -> int:
        for step in range(12):
            upload(libraries[(number + step) % 2], photo_samples.picture(size=(64 + number, 48 + step)), users[number])
        return number

    def purges() -> int:
        while not stop.wait(0.01):
            ids = list(Photo.objects.order_by("?").values_list("pk", flat=True)[:4])
            trash.purge(photo_ids=ids, also_present=True)
        return len(failures)

    def erases() -> None:
        for user in users[:2]:
            erasure.forget_user(user=user, by=None)

    futures = [in_a_thread(uploads, number) for number in range(4)]
    purging, erasing = in_a_thread(purges), in_a_thread(erases)
    for future in futures:
        future.result(60)
    erasing.result(60)
    stop.set()
    purging.result(60)
    assert quotas.recount(mend=False) == []
    assert UserUsage.objects.filter(user__in=users[:2]).count() == 0


def test_a_counter_that_drifted_is_found_and_mended(library: Library) -> None:
    user = factories.make_user()
    photo = upload(library, photo_samples.picture(), user)
    call_command("recount_usage", stdout=io.StringIO())
    LibraryUsage.objects.filter(library=library).update(used_bytes=7)
    UserUsage.objects.all().delete()
    assert quotas.recount(mend=False) == [
        quotas.Drift("library", library.pk, 7, photo.byte_size),
        quotas.Drift("user", user.pk, 0, photo.byte_size),
    ]
    with pytest.raises(CommandError, match="2 counters"):
        call_command("recount_usage", stdout=io.StringIO())
    out = io.StringIO()
    call_command("recount_usage", "--mend", stdout=out)
    assert "2 counters mended" in out.getvalue()
    assert (used(library), used(user)) == (photo.byte_size, photo.byte_size)
    with pytest.raises(IntegrityError, match="library_usage_not_negative"):
        LibraryUsage.objects.update(used_bytes=-1)


def test_who_goes_while_it_is_counted_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    libraries, users = [factories.make_library() for _ in range(2)], [factories.make_user() for _ in range(2)]
    for library, user in zip(libraries, users, strict=True):
        LibraryUsage.objects.create(library=library, used_bytes=7)
        UserUsage.objects.create(user=user, used_bytes=7)
    mend, going = quotas.mend_counter, {libraries[0].pk: libraries[1], users[0].pk: users[1]}

    def mend_and_lose_the_next(*, of: Any, subject_id: Any) -> Any:
        if subject_id in going:
            # as somebody else does, who has committed before the next is counted
            in_a_thread(going[subject_id].delete).result(10)
        return mend(of=of, subject_id=subject_id)

    monkeypatch.setattr(quotas, "mend_counter", mend_and_lose_the_next)
    assert {drift.subject_id for drift in quotas.recount(mend=True)} == {libraries[0].pk, users[0].pk}
    assert set(Library.objects.all()) == {libraries[0]}
    assert list(LibraryUsage.objects.values_list("library", "used_bytes")) == [(libraries[0].pk, 0)]
    assert list(UserUsage.objects.values_list("user", "used_bytes")) == [(users[0].pk, 0)]


def test_to_compare_nobody_is_kept_waiting(library: Library) -> None:
    first, second = photo_samples.picture(), photo_samples.picture()
    upload(library, first)
    with transaction.atomic():
        assert quotas.recount(mend=False) == []
        in_a_thread(upload, library, second).result(10)
        assert quotas.recount(mend=False) == []
    LibraryUsage.objects.update(used_bytes=1)
    with transaction.atomic():
        assert len(quotas.recount(mend=True)) == 1
        uploading = in_a_thread(upload, library, photo_samples.picture())
        wait_until_blocked()
    uploading.result(10)
    assert quotas.recount(mend=False) == []


def test_new_ones_begin_with_what_is_set(settings: Settings) -> None:
    settings.LIBRARY_QUOTA_BYTES, settings.USER_QUOTA_BYTES = 5, 6
    assert (create_library(name="new").quota_bytes, factories.make_user().quota_bytes) == (5, 6)


def test_the_answer_says_used_and_limit(library: Library) -> None:
    user = factories.make_member(library, "editor")
    client = factories.client_of(user)
    limit(library, 100)
    body = {"library": library.pk, "file": io.BytesIO(photo_samples.picture())}
    response = client.post("/api/v1/photos", body, format="multipart")
    problem = response.json()
    assert (response.status_code, problem["code"]) == (413, "quota_exceeded")
    assert (problem["of"], problem["used"], problem["limit"]) == ("library", 0, 100)
    assert Photo.objects.count() == 0
    limit(library, None)
    photo = upload(library, photo_samples.picture(), user)
    shown = client.get(f"/api/v1/libraries/{library.pk}").json()
    assert (shown["quota_bytes"], shown["used_bytes"]) == (None, photo.byte_size)
    assert client.get("/api/v1/auth/me").json()["used_bytes"] == photo.byte_size
    object_sweeps.sweep()
