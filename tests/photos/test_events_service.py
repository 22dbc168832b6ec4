"""Events: written with what they tell of, and read in one order in which nothing comes late."""

import itertools
import random
import threading
import time
import uuid
from concurrent.futures import Future
from datetime import timedelta

import factories
import pytest
from concurrency import PATIENCE_SECONDS, in_a_thread
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Library, User
from accounts.roles import Permission
from accounts.services import api_keys
from photos.audience import PERMISSIONS, audience_of
from photos.models import Event, EventKind, Photo
from photos.services import events

LARGEST = 2**63 - 1


def library_event(library_id: uuid.UUID, number: object) -> Event:
    return Event(kind=EventKind.LIBRARY_CHANGED, library_id=library_id, payload={"number": number})


def numbers(after: int = 0, until: int = LARGEST) -> list[object]:
    return [one.payload["number"] for one in Event.objects.between(after, until)]


def make_old(*positions: int | None, seconds: int = 100_000) -> None:
    """Let events, by position or those without one, have been written so long ago."""
    for position in positions:
        Event.objects.filter(position=position).update(created_at=timezone.now() - timedelta(seconds=seconds))


@pytest.mark.django_db
def test_what_is_written_is_what_is_read() -> None:
    library, photo = uuid.uuid4(), uuid.uuid4()
    told = Event(kind=EventKind.PHOTO_READY, library_id=library, photo_id=photo, payload={"done": 4, "ä": None})
    before = timezone.now()
    events.record(events=[told, library_event(library, 2)])
    first, second = Event.objects.order_by("pk")
    assert (first.kind, first.library_id, first.photo_id) == ("photo.ready", library, photo)
    assert (first.payload, second.payload) == ({"done": 4, "ä": None}, {"number": 2})
    assert (second.kind, second.library_id, second.photo_id) == ("library.changed", library, None)
    assert abs(first.created_at - before) < timedelta(seconds=10)
    assert (first.position, second.position) == (None, None)


@pytest.mark.django_db
def test_many_are_kept_in_the_order_in_which_they_were_given() -> None:
    library = uuid.uuid4()
    events.record(events=(library_event(library, number) for number in range(2500)))
    assert events.give_positions() == 2500
    assert numbers() == list(range(2500))


@pytest.mark.django_db(transaction=True)
def test_an_event_of_what_is_not_committed_is_refused() -> None:
    with pytest.raises(RuntimeError, match="in the transaction"):
        events.record(events=[library_event(uuid.uuid4(), 1)])
    with transaction.atomic():
        events.record(events=[library_event(uuid.uuid4(), 1)])
        transaction.set_rollback(True)
    assert not Event.objects.exists()


@pytest.mark.django_db
def test_an_event_of_a_photo_names_it_and_no_other_does() -> None:
    for kind, photo in ((EventKind.PHOTO_READY, None), (EventKind.PEOPLE_CHANGED, uuid.uuid4())):
        with pytest.raises(IntegrityError, match="event_of_photo_names_it"), transaction.atomic():
            events.record(events=[Event(kind=kind, library_id=uuid.uuid4(), photo_id=photo)])
    assert not Event.objects.exists()


@pytest.mark.django_db
def test_an_import_tells_how_far_it_is() -> None:
    library, one = uuid.uuid4(), uuid.uuid4()
    events.record_import(library_id=library, import_id=one, counts={"total": 3, "new": 1})
    events.record_import(library_id=library, import_id=one, counts={"total": 3, "new": 3}, is_finished=True)
    assert list(Event.objects.order_by("pk").values_list("kind", "payload")) == [
        ("import.progress", {"import": str(one), "total": 3, "new": 1}),
        ("import.finished", {"import": str(one), "total": 3, "new": 3}),
    ]


# one order, in which nothing comes late


@pytest.mark.django_db(transaction=True)
def test_who_writes_first_and_commits_last_is_not_passed_over() -> None:
    library = uuid.uuid4()
    has_written, may_commit = threading.Event(), threading.Event()

    def write_and_wait() -> None:
        with transaction.atomic():
            events.record(events=[library_event(library, "first")])
            has_written.set()
            assert may_commit.wait(PATIENCE_SECONDS)

    slow = in_a_thread(write_and_wait)
    assert has_written.wait(PATIENCE_SECONDS)
    with transaction.atomic():
        events.record(events=[library_event(library, "second")])
    assert events.give_positions() == 1
    last = events.last_position()
    assert numbers() == ["second"]

    may_commit.set()
    slow.result(PATIENCE_SECONDS)
    # by their numbers the one that comes now would lie behind whoever has read the other
    assert list(Event.objects.order_by("pk").values_list("payload__number", flat=True)) == ["first", "second"]
    assert events.give_positions() == 1
    assert numbers(after=last) == ["first"]
    assert numbers() == ["second", "first"]


@pytest.mark.django_db(transaction=True)
def test_whoever_begins_to_read_waits_for_positions_that_are_being_given() -> None:
    library = uuid.uuid4()
    with transaction.atomic():
        events.record(events=[library_event(library, 1)])
    with transaction.atomic():
        assert events._give_positions() == 1
        beginning: Future[int] = in_a_thread(events.last_position)
        time.sleep(0.2)
        # the sequence has moved on, and nobody sees the row yet: from there it would never be read
        assert not beginning.done()
    assert beginning.result(PATIENCE_SECONDS) == Event.objects.get().position


@pytest.mark.django_db(transaction=True)
def test_readers_at_any_moment_lose_nothing_and_double_nothing() -> None:
    """Writers of transactions of any length, some rolled back; readers that give positions and read on meanwhile."""
    library, writers, each = uuid.uuid4(), 6, 40
    committed: list[list[int]] = [[] for _ in range(writers)]
    is_over = threading.Event()

    def write(place: int) -> None:
        chance = random.Random(place)
        for number in range(each):
            is_given_up = chance.random() < 0.2
            with transaction.atomic():
                events.record(events=[library_event(library, [place, number])])
                time.sleep(chance.choice([0, 0, 0.001, 0.03]))
                transaction.set_rollback(is_given_up)
            if not is_given_up:
                committed[place].append(number)

    def read() -> list[tuple[int, list[int]]]:
        seen: list[tuple[int, list[int]]] = []
        while True:
            is_last = is_over.is_set()
            events.give_positions()
            after = seen[-1][0] if seen else 0
            seen += [(one.position, one.payload["number"]) for one in Event.objects.between(after, LARGEST)[:7]]
            if is_last and seen and seen[-1][0] == events.last_position():
                return seen

    reading = [in_a_thread(read) for _ in range(3)]
    writing = [in_a_thread(write, place) for place in range(writers)]
    for one in writing:
        one.result(60)
    is_over.set()
    seen = [one.result(60) for one in reading]
    assert seen[0] == seen[1] == seen[2]
    expected = sorted([place, number] for place, done in enumerate(committed) for number in done)
    assert sorted(number for _, number in seen[0]) == expected
    assert len(expected) > writers * each / 2
    positions = [position for position, _ in seen[0]]
    assert all(before < after for before, after in itertools.pairwise(positions))
    # each writer's own order is that of its commits
    for place, done in enumerate(committed):
        assert [number for _, (of, number) in seen[0] if of == place] == done


# how long they are kept


@pytest.mark.django_db
def test_the_oldest_go_and_the_order_goes_on(settings: Settings) -> None:
    settings.EVENTS_KEEP_SECONDS = 3600
    events.record(events=[library_event(uuid.uuid4(), number) for number in range(5)])
    events.give_positions()
    first = Event.objects.order_by("position").first().position
    make_old(first, first + 1, first + 3)
    # the fourth is old, and stands behind one that is kept: nothing is missing between those that are there
    assert events.prune() == 2
    assert numbers() == [2, 3, 4]
    make_old(first + 2, first + 4)
    assert events.prune() == 3
    assert not Event.objects.exists()
    assert events.last_position() == first + 4
    events.record(events=[library_event(uuid.uuid4(), 5)])
    events.give_positions()
    assert Event.objects.get().position == first + 5


@pytest.mark.django_db
def test_where_nobody_listens_old_events_go_too(settings: Settings) -> None:
    settings.EVENTS_KEEP_SECONDS = 3600
    events.record(events=[library_event(uuid.uuid4(), 1)])
    make_old(None)
    events.record(events=[library_event(uuid.uuid4(), 2)])
    assert events.prune() == 1
    assert Event.objects.get().payload == {"number": 2}


@pytest.mark.django_db
def test_a_part_is_deleted_at_a_time(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    settings.EVENTS_KEEP_SECONDS = 3600
    monkeypatch.setattr(events, "PRUNED_AT_ONCE", 3)
    events.record(events=[library_event(uuid.uuid4(), number) for number in range(7)])
    events.give_positions()
    Event.objects.update(created_at=timezone.now() - timedelta(days=1))
    assert [events.prune() for _ in range(4)] == [3, 3, 1, 0]


@pytest.mark.django_db
def test_a_library_that_is_erased_leaves_no_event() -> None:
    gone, kept = uuid.uuid4(), uuid.uuid4()
    events.record(events=[library_event(library, 1) for library in (gone, kept, gone)])
    assert events.forget_library(library_id=gone) == 2
    assert Event.objects.get().library_id == kept


# who is told


def held(user: User) -> dict[uuid.UUID, set[str]]:
    """Ask for each permission by itself, by the rule that everything else asks."""
    found: dict[uuid.UUID, set[str]] = {}
    for permission in PERMISSIONS:
        for library_id in Library.objects.permitting(user, permission).values_list("pk", flat=True):
            found.setdefault(library_id, set()).add(permission)
    return found


@pytest.mark.django_db
def test_who_is_told_is_who_may_look() -> None:
    one, other, erased = (factories.make_library() for _ in range(3))
    Library.objects.filter(pk=erased.pk).update(erasure_requested_at=timezone.now())
    role = factories.Role.objects.create(name="camera", permissions=["photos.upload"])
    visitor, editor, admin = (factories.make_member(one, name) for name in ("visitor", "editor", "admin"))
    camera = factories.make_user()
    factories.Membership.objects.create(library=other, user=camera, role=role)
    factories.Membership.objects.create(library=erased, user=admin, role=factories.Role.objects.get(name="admin"))
    superuser, stranger = factories.make_user(is_superuser=True), factories.make_user()
    deactivated = factories.make_member(one, "admin")
    deactivated.is_active = False
    people = [visitor, editor, admin, camera, superuser, stranger, deactivated]
    for owner, scopes, library in (
        (admin, ["photos.view"], None),
        (superuser, ["people.view", "photos.upload"], None),
        (superuser, ["photos.view"], other.pk),
        (visitor, ["photos.upload"], None),
    ):
        made = api_keys.create(owner=owner, name="key", scopes=scopes, library_id=library)
        people.append(api_keys.authenticate(text=made.text))
    for user in people:
        audience = audience_of(user)
        assert {one: set(held) for one, held in audience.libraries.items()} == held(user), user
    view, upload = {Permission.VIEW_PHOTOS, Permission.VIEW_PEOPLE}, {Permission.UPLOAD_PHOTOS}
    everything = view | upload | {Permission.MODERATE_PHOTOS}
    assert held(visitor) == {one.pk: view}
    assert held(camera) == {other.pk: upload}
    assert held(superuser) == {one.pk: everything, other.pk: everything}
    assert audience_of(visitor).hears(kind="photo.ready", library_id=one.pk)
    assert not audience_of(visitor).hears(kind="import.progress", library_id=one.pk)
    assert audience_of(editor).hears(kind="import.progress", library_id=one.pk)
    assert not audience_of(camera).hears(kind="photo.ready", library_id=other.pk)
    assert not audience_of(visitor).hears(kind="of another release", library_id=one.pk)
    assert not audience_of(visitor).hears(kind="photo.ready", library_id=one.pk, is_hidden=True)
    assert audience_of(editor).hears(kind="photo.ready", library_id=one.pk, is_hidden=True)


@pytest.mark.django_db
def test_of_a_hidden_photo_all_are_told_only_that_it_is_gone_or_changed() -> None:
    library = factories.make_library()
    shown, hidden = factories.make_photo(library), factories.make_photo(library, is_hidden=True)
    for kind in (EventKind.PHOTO_PROGRESS, EventKind.PHOTO_RESTORED, EventKind.PHOTO_CHANGED, EventKind.PHOTO_TRASHED):
        events.record_photos(kind=kind, photos={shown.pk: library.pk, hidden.pk: library.pk})
    Photo.objects.filter(pk=hidden.pk).delete()
    events.record_photos(kind=EventKind.PHOTO_DELETED, photos={hidden.pk: library.pk})
    events.record_import(library_id=library.pk, import_id=uuid.uuid4(), counts={})

    kept = Event.objects.filter(is_hidden=True)
    assert set(kept.values_list("photo_id", "kind")) == {(hidden.pk, "photo.progress"), (hidden.pk, "photo.restored")}
    assert Event.objects.count() == 10


@pytest.mark.django_db
def test_who_is_told_is_asked_by_one_query(django_assert_num_queries: object) -> None:
    superuser = factories.make_user(is_superuser=True)
    for _ in range(5):
        factories.make_library()
    with django_assert_num_queries(1):
        assert len(audience_of(superuser).libraries) == 5
    assert connection.in_atomic_block
