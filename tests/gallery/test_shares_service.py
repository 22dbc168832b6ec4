"""Shares: what is kept of them, who may make them of what, and what happens at once with them."""

from collections.abc import Callable
from datetime import timedelta

import factories
import pytest
from concurrency import in_a_thread, wait_until_blocked
from django.contrib.auth.hashers import check_password, identify_hasher
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings
from uuid_utils.compat import uuid7

from accounts.digests import digest
from accounts.models import ApiKey, AuditEvent, Library, Membership, Role, User
from accounts.problems import InvalidValueError, NotFoundError, NotPermittedError
from accounts.roles import Permission
from gallery.models import Share, SharedPhoto
from gallery.models.share import MAX_PHOTOS
from gallery.services import shares
from photos.models import Photo
from photos.services import purge, trash

pytestmark = pytest.mark.django_db


@pytest.fixture
def library() -> Library:
    return factories.make_library()


@pytest.fixture
def sharer(library: Library) -> User:
    return factories.make_member(library, "editor")


def trail() -> list[tuple[object, ...]]:
    return list(AuditEvent.objects.order_by("id").values_list("action", "actor_id", "library_id", "subject_id"))


def share_of(*photos: Photo, by: User, **options: object) -> Share:
    made, _ = shares.create_share(by=by, photo_ids=[photo.pk for photo in photos], options=options)
    return made


def test_a_share_keeps_order_and_no_token(library: Library, sharer: User) -> None:
    photos = [factories.make_photo(library) for _ in range(3)]
    ids = [photos[2].pk, photos[0].pk, photos[1].pk, photos[2].pk]

    share, token = shares.create_share(by=sharer, photo_ids=ids, options={"title": "Summer"})

    share.refresh_from_db()
    assert len(token) == 43
    assert share.token_sha256 == digest(token)
    assert token not in str(Share.objects.values().get())
    assert (share.library, share.created_by, share.title, share.password) == (library, sharer, "Summer", "")
    assert (share.show_metadata, share.allow_originals, share.view_count, share.revoked_at) == (False, False, 0, None)
    rows = SharedPhoto.objects.order_by("position").values_list("position", "photo_id")
    assert list(rows) == [(1, photos[2].pk), (2, photos[0].pk), (3, photos[1].pk)]
    assert trail() == [("share.created", sharer.pk, library.pk, str(share.pk))]
    assert "Summer" not in str(AuditEvent.objects.values().get())


def test_tokens_are_never_alike(library: Library, sharer: User) -> None:
    photo = factories.make_photo(library)
    tokens = {shares.create_share(by=sharer, photo_ids=[photo.pk], options={})[1] for _ in range(20)}
    assert len(tokens) == 20


def test_a_password_is_kept_as_argon2(library: Library, sharer: User, settings: Settings) -> None:
    from config.settings import base

    settings.PASSWORD_HASHERS = base.PASSWORD_HASHERS
    share = share_of(factories.make_photo(library), by=sharer, password="open sesame")
    share.refresh_from_db()
    assert identify_hasher(share.password).algorithm == "argon2"
    assert check_password("open sesame", share.password)
    assert not check_password("open sesam", share.password)


def role_of(library: Library, *permissions: str) -> User:
    user = factories.make_user()
    role = Role.objects.create(name="+".join(permissions), permissions=permissions)
    Membership.objects.create(library=library, user=user, role=role)
    return user


Refused = Callable[[Library, User], tuple[User, list[object], dict[str, object]]]


def _mixed(library: Library, sharer: User) -> list[object]:
    other = factories.make_library()
    Membership.objects.create(library=other, user=sharer, role=Role.objects.get(name="editor"))
    return [factories.make_photo(library).pk, factories.make_photo(other).pk]


def _trashed(library: Library) -> list[object]:
    return [factories.make_photo(library, trashed_at=timezone.now()).pk]


def _with_key(library: Library, scopes: list[str], of: User) -> User:
    of.acting_key = ApiKey(owner=of, scopes=scopes)
    return of


def _one(library: Library) -> list[object]:
    return [factories.make_photo(library).pk]


REFUSED: dict[str, tuple[type[Exception], Refused]] = {
    "none": (InvalidValueError, lambda lib, by: (by, [], {})),
    "too many": (InvalidValueError, lambda lib, by: (by, [uuid7() for _ in range(MAX_PHOTOS + 1)], {})),
    "two libraries": (InvalidValueError, lambda lib, by: (by, _mixed(lib, by), {})),
    "a foreign one": (NotFoundError, lambda lib, by: (by, [*_one(lib), *_one(factories.make_library())], {})),
    "one in the trash": (NotFoundError, lambda lib, by: (by, _trashed(lib), {})),
    "one that never was": (NotFoundError, lambda lib, by: (by, [uuid7()], {})),
    "a visitor": (NotPermittedError, lambda lib, by: (factories.make_member(lib, "visitor"), _one(lib), {})),
    "a key without the scope": (
        NotPermittedError,
        lambda lib, by: (_with_key(lib, ["photos.view"], by), _one(lib), {}),
    ),
    "originals that one may not have": (
        NotPermittedError,
        lambda lib, by: (role_of(lib, "photos.view", "photos.share"), _one(lib), {"allow_originals": True}),
    ),
    "expired": (InvalidValueError, lambda lib, by: (by, _one(lib), {"expires_at": timezone.now()})),
    "a short password": (InvalidValueError, lambda lib, by: (by, _one(lib), {"password": "12345"})),
    # the page that asks for it takes no more, so that nobody could open it
    "a long password": (InvalidValueError, lambda lib, by: (by, _one(lib), {"password": "x" * 129})),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_may_not_be_shared_is_not(library: Library, sharer: User, case: str) -> None:
    error, make = REFUSED[case]
    by, photo_ids, options = make(library, sharer)
    with pytest.raises(error):
        shares.create_share(by=by, photo_ids=photo_ids, options=options)
    assert (Share.objects.count(), SharedPhoto.objects.count(), trail()) == (0, 0, [])


def test_a_change_changes_what_it_names(library: Library, sharer: User) -> None:
    share = share_of(factories.make_photo(library), by=sharer, title="Summer", password="open sesame")
    later = timezone.now() + timedelta(days=1)
    shares.change_share(share_id=share.pk, by=sharer, changes={"expires_at": later, "allow_originals": True})
    share.refresh_from_db()
    assert (share.title, share.expires_at, share.allow_originals, share.has_password) == ("Summer", later, True, True)
    shares.change_share(share_id=share.pk, by=sharer, changes={"password": "", "expires_at": None})
    share.refresh_from_db()
    assert (share.has_password, share.expires_at) == (False, None)
    assert shares.change_share(share_id=share.pk, by=sharer, changes={}) == share
    assert [action for action, *_ in trail()] == ["share.created", "share.changed", "share.changed"]


def test_a_link_that_gives_originals_is_changed_by_who_may_give_them(library: Library, sharer: User) -> None:
    share = share_of(factories.make_photo(library), by=sharer, password="open sesame", allow_originals=True)
    other = role_of(library, "photos.view", "photos.share")
    for changes in ({"password": ""}, {"expires_at": None}, {"allow_originals": True}):
        with pytest.raises(NotPermittedError):
            shares.change_share(share_id=share.pk, by=other, changes=changes)
    share.refresh_from_db()
    assert (share.has_password, share.allow_originals) == (True, True)
    # less may be given by anybody who shares
    shares.change_share(share_id=share.pk, by=other, changes={"allow_originals": False, "password": ""})
    share.refresh_from_db()
    assert (share.has_password, share.allow_originals) == (False, False)


def test_a_revoked_share_stays_revoked(library: Library, sharer: User) -> None:
    share = share_of(factories.make_photo(library), by=sharer)
    assert shares.revoke_shares(share_ids=[share.pk], by=sharer) == 1
    share.refresh_from_db()
    first = share.revoked_at
    assert first is not None
    assert shares.revoke_shares(share_ids=[share.pk], by=sharer) == 0
    with pytest.raises(shares.ShareIsRevokedError):
        shares.change_share(share_id=share.pk, by=sharer, changes={"title": "again"})
    share.refresh_from_db()
    assert (share.revoked_at, share.title) == (first, "")
    assert [action for action, *_ in trail()] == ["share.created", "share.revoked"]


def test_others_change_and_revoke_nothing(library: Library, sharer: User) -> None:
    share = share_of(factories.make_photo(library), by=sharer)
    for other in (factories.make_member(library, "visitor"), factories.make_member(factories.make_library(), "admin")):
        assert shares.revoke_shares(share_ids=[share.pk], by=other) == 0
        with pytest.raises(NotFoundError):
            shares.change_share(share_id=share.pk, by=other, changes={"title": "mine"})
    share.refresh_from_db()
    assert (share.revoked_at, share.title) == (None, "")


def test_the_database_refuses_a_token_and_a_share_that_was_born_dead(library: Library, sharer: User) -> None:
    for values, name in (
        ({"token_sha256": "a" * 43}, "share_token_is_hashed"),
        ({"expires_at": timezone.now() - timedelta(days=1)}, "share_expires_after_creation"),
        ({"view_count": 1}, "share_viewed_has_time"),
    ):
        with pytest.raises(IntegrityError, match=name), transaction.atomic():
            Share.objects.create(**{"library": library, "created_by": sharer, "token_sha256": "0" * 64, **values})


def test_a_photo_that_is_deleted_for_good_leaves_its_shares(library: Library, sharer: User) -> None:
    photos = [factories.make_photo(library) for _ in range(2)]
    share = share_of(*photos, by=sharer)
    trash.move_to_trash(photo_ids=[photos[0].pk])
    assert [row.position for row in share.shown()] == [2]
    assert purge.purge_photos(photo_ids=[photos[0].pk]) == 1
    assert list(share.shared_photos.values_list("photo_id", flat=True)) == [photos[1].pk]


def test_a_look_is_one_statement(library: Library, sharer: User) -> None:
    share = share_of(factories.make_photo(library), by=sharer)
    with CaptureQueriesContext(connection) as queries:
        shares.note_view(share_id=share.pk)
    assert len(queries) == 1
    share.refresh_from_db()
    assert share.view_count == 1
    assert abs(share.last_viewed_at - timezone.now()) < timedelta(seconds=5)


@pytest.mark.django_db(transaction=True)
def test_looks_at_the_same_moment_are_all_counted(library: Library, sharer: User) -> None:
    share = share_of(factories.make_photo(library), by=sharer)

    def look() -> None:
        for _ in range(25):
            shares.note_view(share_id=share.pk)

    for future in [in_a_thread(look) for _ in range(4)]:
        future.result(30)
    share.refresh_from_db()
    assert share.view_count == 100


@pytest.mark.django_db(transaction=True)
def test_a_share_waits_for_a_purge_and_has_no_photo_that_is_gone(library: Library, sharer: User) -> None:
    photo = factories.make_photo(library)
    with transaction.atomic():
        Photo.objects.select_for_update().get(pk=photo.pk)
        other = in_a_thread(shares.create_share, by=sharer, photo_ids=[photo.pk], options={})
        wait_until_blocked()
        Photo.objects.filter(pk=photo.pk).delete()
    with pytest.raises(NotFoundError):
        other.result(10)
    assert Share.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_two_who_revoke_at_once_are_told_of_once(library: Library, sharer: User) -> None:
    share = share_of(factories.make_photo(library), by=sharer)
    with transaction.atomic():
        assert shares.revoke_shares(share_ids=[share.pk], by=sharer) == 1
        other = in_a_thread(shares.revoke_shares, share_ids=[share.pk], by=sharer)
        wait_until_blocked()
    assert other.result(10) == 0
    assert [action for action, *_ in trail()] == ["share.created", "share.revoked"]


def test_the_roles_that_may_share() -> None:
    having = Role.objects.filter(is_built_in=True, permissions__contains=[Permission.SHARE_PHOTOS])
    assert set(having.values_list("name", flat=True)) == {"admin", "editor"}
