"""Erasures that died, were in the way of others, or whose subject was gone: asked for again, counted once, and said."""

import io
from collections.abc import Callable
from typing import Any

import factories
import photo_samples
import pytest
from concurrency import in_a_thread
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone
from face_samples import add_face, vector
from pytest_django import Settings

from accounts.models import AuditEvent, ErasureReceipt, Library, User
from accounts.problems import NotFoundError, NotPermittedError
from photos.models import Face, Person, Photo
from photos.services import erasure, people, purge
from processing.consent import is_somebody_being_forgotten
from processing.kinds import erase_faces
from processing.kinds import forget as forget_kind
from processing.models import LibraryRun
from processing.services import forgetting
from processing.services.face_analysis import switch_face_analysis

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("photo_store")]


def forget() -> int:
    return photo_samples.run_library_work("forget")


def erase() -> int:
    return photo_samples.run_library_work("erase_faces")


def death() -> dict[str, object]:
    """Give what a run says that was tried as often as allowed."""
    return {"state": "dead", "error_code": "unexpected_error", "finished_at": timezone.now()}


def die() -> None:
    """Let what is open have been tried as often as allowed."""
    LibraryRun.objects.open().update(**death())


def states(kind: str) -> list[tuple[str, str]]:
    return list(LibraryRun.objects.filter(kind=kind).order_by("pk").values_list("state", "skip_reason"))


@pytest.fixture
def fails_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[object, str, int], Callable[[], None]]:
    """Let a service do its work so many times, and fail from then on: after it, and before that is committed.

    Gives what mends it.
    """

    def put(module: object, name: str, times: int) -> Callable[[], None]:
        work, calls = getattr(module, name), []

        def failing(**values: Any) -> Any:
            done = work(**values)
            calls.append(done)
            if len(calls) > times:
                raise ZeroDivisionError("a bug")
            return done

        monkeypatch.setattr(module, name, failing)
        return lambda: monkeypatch.setattr(module, name, work)

    return put


def until_dead(work: Callable[[], int]) -> None:
    for _ in range(3):
        LibraryRun.objects.update(not_before=None)
        assert work() == 1
    assert LibraryRun.objects.dead().count() == 1


def test_faces_are_asked_for_again_after_their_erasure_died(face_library: Library) -> None:
    add_face(face_library, vector(1))
    asked = forgetting.forget_faces(library=face_library, by=None)
    die()
    assert forgetting.forget_faces(library=face_library, by=None).pk == asked.pk
    # and once more, of which nothing more comes
    assert forgetting.forget_faces(library=face_library, by=None).pk == asked.pk
    assert states("erase_faces") == [("skipped", "superseded"), ("pending", "")]
    assert erase() == 1
    asked.refresh_from_db()
    assert (asked.counts["faces"], asked.ended_at is not None, Face.objects.count()) == (1, True, 0)
    assert AuditEvent.objects.filter(action="erased").count() == 1


def test_a_library_that_is_asked_for_again_counts_what_went_before(
    library: Library, monkeypatch: pytest.MonkeyPatch, fails_after: Callable[..., None]
) -> None:
    photos = [photo_samples.take_in(library, photo_samples.picture()) for _ in range(4)]
    asked = forgetting.forget_library(library=library, by=None)
    monkeypatch.setattr(forget_kind, "PHOTOS_PER_STEP", 1)
    mend = fails_after(purge, "purge_photos", 2)
    until_dead(forget)
    asked.refresh_from_db()
    # what was rolled back three times was counted no time
    assert (Photo.objects.count(), asked.counts["photos"]) == (2, 2)
    mend()
    assert forgetting.forget_library(library=library, by=None).pk == asked.pk
    assert forget() == 1
    asked.refresh_from_db()
    assert (asked.counts["photos"], asked.counts["bytes"]) == (4, sum(photo.byte_size for photo in photos))
    assert (asked.counts["libraries"], asked.counts["library_runs"]) == (1, 2)
    assert (asked.ended_at is not None, Library.objects.count()) == (True, 0)


def test_faces_are_counted_on_when_the_switch_goes_back_and_forth(
    face_library: Library, monkeypatch: pytest.MonkeyPatch, fails_after: Callable[..., None]
) -> None:
    for variation in range(4):
        add_face(face_library, vector(1, variation))
    monkeypatch.setattr(erase_faces, "PHOTOS_PER_STEP", 1)
    switch_face_analysis(library=face_library, enabled=False, by=None)
    mend = fails_after(erasure, "erase_faces", 2)
    until_dead(erase)
    assert (Face.objects.count(), ErasureReceipt.objects.get().counts["faces"]) == (2, 2)
    mend()
    switch_face_analysis(library=face_library, enabled=True, by=None)
    switch_face_analysis(library=face_library, enabled=False, by=None)
    assert erase() == 1
    receipt = ErasureReceipt.objects.get()
    assert (receipt.counts["faces"], receipt.ended_at is not None, Face.objects.count()) == (4, True, 0)
    # the next one begins with nothing
    switch_face_analysis(library=face_library, enabled=True, by=None)
    switch_face_analysis(library=face_library, enabled=False, by=None)
    erase()
    assert [one.counts["faces"] for one in ErasureReceipt.objects.order_by("pk")] == [4, 0]


def test_a_run_that_died_beside_the_one_that_ends_keeps_nobody_waiting(face_library: Library) -> None:
    person = factories.make_person(face_library, name="Ada")
    forgetting.forget_person(person=person, by=None)
    kind = {"kind": "forget", "subject": str(person.pk), "version": "1"}
    LibraryRun.objects.create(library=face_library, **kind, **death())
    assert forget() == 1
    assert set(states("forget")) == {("done", ""), ("skipped", "superseded")}
    assert not is_somebody_being_forgotten(face_library.pk)


def test_photos_that_others_hold_for_long_kill_no_erasure(
    library: Library, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    monkeypatch.setattr(purge, "ATTEMPTS", 1)
    settings.LEDGER_TASK_SECONDS = 0.001
    photo = factories.make_photo(library)
    forgetting.forget_library(library=library, by=None)
    with transaction.atomic():
        # as an upload does that puts a lost original back
        Photo.objects.select_for_update(no_key=True).get(pk=photo.pk)
        for _ in range(4):
            assert in_a_thread(forget).result(30) == 1
            run = LibraryRun.objects.get(kind="forget")
            assert (run.state, run.attempt, run.error_code, run.not_before) == ("pending", 0, "", None)
    settings.LEDGER_TASK_SECONDS = 30
    assert forget() == 1
    assert (Library.objects.count(), Photo.objects.count()) == (0, 0)


def test_a_purge_leaves_nobody_impatient(library: Library) -> None:
    photos = [factories.make_photo(library) for _ in range(2)]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '7s'")
        assert purge.purge_photos(photo_ids=[photo.pk for photo in photos], only=purge.ANY) == 2
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("7s",)


def test_the_command_says_what_it_died_of(
    library: Library, fails_after: Callable[..., None], settings: Settings
) -> None:
    settings.LEDGER_BACKOFF_SECONDS = 0.01
    factories.make_photo(library)
    fails_after(purge, "purge_photos", 0)
    with pytest.raises(CommandError) as refused:
        call_command("forget", "--library", library.name, "--yes", stdout=io.StringIO())
    run, receipt = LibraryRun.objects.dead().get(), ErasureReceipt.objects.get()
    assert str(refused.value) == (
        f"It is not over: library run {run.pk} died of unexpected_error (ZeroDivisionError: a bug). Mend the cause "
        f"and retry it, among the dead letters or by this command. Receipt {receipt.pk}."
    )
    assert (receipt.ended_at, Photo.objects.count()) == (None, 1)


def test_it_is_erased_by_the_same_command_when_the_cause_is_mended(library: Library) -> None:
    factories.make_photo(library)
    forgetting.forget_library(library=library, by=None)
    die()
    said = io.StringIO()
    call_command("forget", "--library", library.name, "--yes", stdout=said)
    assert "Erased: " in said.getvalue()
    assert (Library.objects.count(), ErasureReceipt.objects.open().count()) == (0, 0)


@pytest.mark.parametrize("role", ["visitor", "editor"])
def test_the_services_ask_who_it_is(face_library: Library, role: str) -> None:
    person = factories.make_person(face_library, name="Ada")
    somebody = (factories.make_member(face_library, role), factories.make_member(factories.make_library(), "admin"))
    events = AuditEvent.objects.count()
    for by in somebody:
        for ask in (
            lambda by=by: forgetting.forget_person(person=person, by=by),
            lambda by=by: forgetting.forget_faces(library=face_library, by=by),
            lambda by=by: forgetting.forget_library(library=face_library, by=by, name=face_library.name),
        ):
            with pytest.raises(NotPermittedError):
                ask()
    face_library.refresh_from_db()
    assert (Person.objects.get().name, face_library.face_analysis, face_library.erasure_requested_at) == (
        "Ada", True, None,
    )  # fmt: skip
    assert (ErasureReceipt.objects.count(), AuditEvent.objects.count(), LibraryRun.objects.count()) == (0, events, 0)


def test_a_library_that_goes_already_is_gone_for_whoever_asks(library: Library) -> None:
    admin = factories.make_member(library, "admin")
    forgetting.forget_library(library=library, by=admin)
    for ask in (forgetting.forget_library, forgetting.forget_faces):
        with pytest.raises(NotFoundError):
            ask(library=library, by=admin)
    forget()
    for by in (None, admin):
        for ask in (forgetting.forget_library, forgetting.forget_faces):
            with pytest.raises(NotFoundError):
                ask(library=library, by=by)
    with pytest.raises(NotFoundError):
        switch_face_analysis(library=library, enabled=False, by=admin)
    assert (ErasureReceipt.objects.count(), LibraryRun.objects.count()) == (1, 0)


def noted(person: Person, by: User) -> LogEntry:
    """Note a change in the admin, as it did before it left names out."""
    content_type = ContentType.objects.get_for_model(Person)
    values = {"content_type": content_type, "object_id": str(person.pk), "object_repr": person.name, "action_flag": 2}
    return LogEntry.objects.create(user=by, change_message=f"named {person.name}", **values)


def test_a_person_whom_others_tidied_away_is_forgotten_all_the_same(face_library: Library) -> None:
    person = factories.make_person(face_library, name="Ada")
    entry = noted(person, factories.make_user())
    asked = forgetting.forget_person(person=person, by=None)
    # without a name and without a face nobody needs the row
    with transaction.atomic():
        assert people.delete_empty_people(library_id=face_library.pk) == 1
    assert forget() == 1
    asked.refresh_from_db()
    assert asked.counts == {"photos": 0, "faces": 0, "embeddings": 0, "people": 1}
    entry.refresh_from_db()
    assert (entry.object_repr, entry.change_message) == ("", "")


@pytest.mark.parametrize("ask", [forgetting.forget_faces, forgetting.forget_library])
def test_the_admins_notes_of_people_go_with_them(
    face_library: Library, ask: Callable[..., ErasureReceipt], monkeypatch: pytest.MonkeyPatch
) -> None:
    by = factories.make_user()
    entries = [noted(factories.make_person(face_library, name=name), by) for name in ("Ada", "Bob")]
    other = noted(factories.make_person(factories.make_library(), name="Eve"), by)
    ask(library=face_library, by=None)
    assert erase() + forget() == 1
    assert set(LogEntry.objects.values_list("pk", "object_repr")) == {
        (entries[0].pk, ""), (entries[1].pk, ""), (other.pk, "Eve"),
    }  # fmt: skip


def test_what_goes_with_a_library_is_said_and_counted(library: Library) -> None:
    photo = photo_samples.take_in(library, photo_samples.picture())
    admin = factories.make_member(library, "admin")
    for number in range(2):
        library.shares.create(created_by=admin, token_sha256=f"{number:064}")
    library.api_keys.create(owner=admin, name="a", prefix="dk_a", secret_sha256="0" * 64, scopes=["photos.view"])
    said = io.StringIO()
    call_command("forget", "--library", library.name, "--dry-run", stdout=said)
    assert said.getvalue().splitlines()[1:-1] == [
        "  photos: 1", "  faces: 0", "  embeddings: 0", "  people: 0", f"  bytes: {photo.byte_size:,}",
        "  members: 1", "  api keys: 1", "  shares: 2", "  uploads: 0",
    ]  # fmt: skip
    asked = forgetting.forget_library(library=library, by=admin)
    assert forget() == 1
    asked.refresh_from_db()
    assert {name: asked.counts[name] for name in ("bytes", "members", "api_keys", "shares")} == {
        "bytes": photo.byte_size, "members": 1, "api_keys": 1, "shares": 2,
    }  # fmt: skip


def test_what_goes_with_an_account_is_said() -> None:
    user = factories.make_user(email="ada@example.org")
    factories.make_library().shares.create(created_by=user, token_sha256="0" * 64)
    said = io.StringIO()
    call_command("forget", "--user", user.email, "--dry-run", stdout=said)
    assert said.getvalue().splitlines()[1:-1] == [
        "  memberships: 0", "  api keys: 0", "  shares: 1", "  uploads: 0",
    ]  # fmt: skip
