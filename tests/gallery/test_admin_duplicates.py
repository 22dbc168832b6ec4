"""Near-duplicates in the admin: the groups, which photo to keep, and decisions that photos are none."""

from http import HTTPStatus

import factories
import pytest
from admin_clients import DIALOG, ask, cost, found, offered, staff_client
from django.test import Client
from django.utils import timezone

from accounts.models import AuditAction, AuditEvent, Library
from photos.models import DecidedPhoto, DuplicateDecision, DuplicateGroup, DuplicateMember, Photo
from photos.services import duplicates, fingerprints

pytestmark = pytest.mark.django_db

GROUPS = "/admin/photos/duplicategroup/"
DECISIONS = "/admin/photos/duplicatedecision/"


@pytest.fixture
def library() -> Library:
    return factories.make_library()


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(factories.make_user(is_staff=True, is_superuser=True))
    return client


def alike(library: Library, *, count: int = 2, perceptual_hash: int = 1, **values: object) -> list[Photo]:
    """Make photos that are nearly the same, and have them grouped."""
    photos = [factories.make_photo(library, **values) for _ in range(count)]
    for photo in photos:
        factories.make_rendition(photo, "thumb_300")
        fingerprints.note(photo_id=photo.pk, perceptual_hash=perceptual_hash)
    while duplicates.group_next(library_id=library.pk, model=None, limit=100):
        pass
    return photos


def everything() -> list[object]:
    models = (DuplicateGroup, DuplicateMember, DuplicateDecision, DecidedPhoto)
    trashed = sorted(Photo.objects.values_list("pk", "trashed_at"), key=str)
    return [sorted(model.objects.values_list(), key=str) for model in models] + [trashed]


def test_a_group_shows_its_photos_and_which_to_keep(admin: Client, library: Library) -> None:
    small, large = alike(library)
    Photo.objects.filter(pk=large.pk).update(width=2 * large.width, height=2 * large.height)
    [group] = found(admin, GROUPS)
    page = admin.get(f"{GROUPS}{group.pk}/change/")
    assert [(photo, is_kept) for photo, _url, _size, is_kept in page.context["alike"]] == [
        (large, True), (small, False),
    ]  # fmt: skip
    assert page.context["reason"] == "It has the most pixels."
    assert found(admin, f"{GROUPS}?photo={small.pk}") == [group]
    assert found(admin, f"{GROUPS}?photo={factories.make_photo(library).pk}") == []
    assert found(admin, f"{GROUPS}?library__id__exact={factories.make_library().pk}") == []
    shown = admin.get(f"/admin/photos/photo/{small.pk}/change/").content.decode()
    assert f'href="{GROUPS}{group.pk}/change/"' in shown
    # what lies in the trash is not among them
    Photo.objects.filter(pk=small.pk).update(trashed_at=timezone.now())
    assert found(admin, GROUPS) == []


def test_groups_and_decisions_cost_the_same_queries_however_many_they_are(admin: Client, library: Library) -> None:
    def make(numbers: range) -> None:
        for number in numbers:
            photos = alike(library, count=3, perceptual_hash=(0x0F0F << number) | number)
            if number % 2:
                duplicates.decide(photos=photos[:2], by=factories.make_user(), model=None)

    make(range(4))
    shown = DuplicateGroup.objects.count(), DuplicateDecision.objects.count()
    admin.get(GROUPS), admin.get(DECISIONS)
    few = cost(admin, GROUPS, rows=shown[0]), cost(admin, DECISIONS, rows=shown[1])
    make(range(20, 32))
    more = DuplicateGroup.objects.count(), DuplicateDecision.objects.count()
    assert more > shown
    # session, user, dead letters of both ledgers, libraries being erased, count, rows, and of the rows that are shown
    # members, photos and renditions; groups ask once more what is being erased
    assert few == (cost(admin, GROUPS, rows=more[0]), cost(admin, DECISIONS, rows=more[1])) == (11, 10)


def test_photos_are_said_to_be_no_duplicates_and_that_is_taken_back(admin: Client, library: Library) -> None:
    photos = alike(library)
    [group] = found(admin, GROUPS)
    assert offered(admin, f"{GROUPS}{group.pk}/change/") == {"decide", "keep_suggested"}

    assert ask(admin, f"{GROUPS}{group.pk}/decide/") == ["The photos are no duplicates. It can be taken back here."]

    assert DuplicateGroup.objects.count() == 0
    [decision] = found(admin, DECISIONS)
    assert decision.decided_by.is_superuser
    assert {row.photo_id for row in decision.photos.all()} == {photo.pk for photo in photos}
    assert AuditEvent.objects.get(action=AuditAction.ADMIN_CHANGED).subject_id == str(group.pk)
    page = admin.get(f"{DECISIONS}{decision.pk}/change/")
    assert {photo for photo, _picture in page.context["pictures"]} == set(photos)
    assert found(admin, f"{DECISIONS}?photo={photos[0].pk}") == [decision]
    assert ask(admin, f"{DECISIONS}{decision.pk}/take_back/") == ["It is taken back."]
    assert (DuplicateDecision.objects.count(), DuplicateGroup.objects.count()) == (0, 1)


def test_the_suggested_one_stays_and_the_others_go_to_the_trash(admin: Client, library: Library) -> None:
    first, *others = alike(library, count=3)
    [group] = found(admin, GROUPS)
    assert ask(admin, f"{GROUPS}{group.pk}/keep_suggested/") == ["2 photos are in the trash."]
    assert set(Photo.objects.filter(trashed_at=None)) == {first}
    assert set(Photo.objects.exclude(trashed_at=None)) == set(others)
    # a page that was open since
    assert admin.post(f"{GROUPS}{group.pk}/keep_suggested/", DIALOG).status_code == HTTPStatus.NOT_FOUND


def test_who_may_not_edit_decides_nothing(library: Library) -> None:
    photos = alike(library)
    decision = duplicates.decide(photos=alike(library, perceptual_hash=0xFF00FF00), by=None, model=None)
    group = DuplicateGroup.objects.get(members__photo=photos[0])
    before = everything()
    acts = [
        f"{GROUPS}{group.pk}/decide/", f"{GROUPS}{group.pk}/keep_suggested/", f"{DECISIONS}{decision.pk}/take_back/",
    ]  # fmt: skip
    visitor, foreign = staff_client(library, "visitor"), staff_client(factories.make_library(), "admin")
    assert (found(visitor, GROUPS), found(visitor, DECISIONS)) == ([group], [decision])
    assert offered(visitor, f"{GROUPS}{group.pk}/change/") == set()
    assert offered(visitor, f"{DECISIONS}{decision.pk}/change/") == set()
    assert (found(foreign, GROUPS), found(foreign, DECISIONS)) == ([], [])
    for act in acts:
        assert visitor.get(f"{act}?_form_submitted=True").status_code in (HTTPStatus.OK, HTTPStatus.FORBIDDEN)
        assert visitor.post(act, DIALOG).status_code == HTTPStatus.FORBIDDEN
        assert foreign.post(act, DIALOG).status_code == HTTPStatus.NOT_FOUND
    assert everything() == before
