"""Why somebody can or cannot see a photo: the explanation never differs from the rule."""

import random
from io import StringIO
from itertools import product

import factories
import pytest
from django.contrib.auth.models import Permission as AdminPermission
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from uuid_utils.compat import uuid7

from accounts.models import ApiKey, Library, Membership, Role, User
from accounts.problems import NotFoundError
from accounts.roles import Permission
from accounts.services import api_keys
from gallery.explain_access import explain_access
from photos.models import Photo

pytestmark = pytest.mark.django_db

VIEW = Permission.VIEW_PHOTOS.value


@pytest.fixture
def library() -> Library:
    return factories.make_library(name="Archive")


@pytest.fixture
def photo(library: Library) -> Photo:
    return factories.make_photo(library)


def why(*arguments: object) -> tuple[int, list[str]]:
    """Run the command; gives its exit status and its lines."""
    out = StringIO()
    try:
        call_command("why", *map(str, arguments), stdout=out)
    except SystemExit as left:
        return left.code, out.getvalue().splitlines()
    return 0, out.getvalue().splitlines()


def test_a_member_is_told_to_see_it(library: Library, photo: Photo) -> None:
    user = factories.make_member(library, "visitor")
    expected = [
        f"{user.email} sees the photo {photo.pk}.",
        "  yes  Account: the account is active",
        "  yes  Library: the library Archive is not being erased",
        "  yes  Role: visitor in the library Archive, which allows photos.view",
        "  yes  Trash: the photo is not in the trash",
    ]
    assert why(user.email.upper(), photo.pk) == (0, expected)
    assert why(user.pk, photo.pk) == (0, expected)


def test_every_reason_against_is_told(library: Library, photo: Photo) -> None:
    photo.trashed_at = timezone.now()
    photo.save()
    user = factories.make_user(is_active=False)
    at = f"{photo.trashed_at:%Y-%m-%d %H:%M} UTC"
    code, lines = why(user.email, photo.pk)
    assert code == 1
    against = f"the account is deactivated; no member of the library Archive; the photo is in the trash since {at}"
    assert lines == [
        f"{user.email} does not see the photo {photo.pk}: {against}.",
        "  NO   Account: the account is deactivated",
        "  yes  Library: the library Archive is not being erased",
        "  NO   Role: no member of the library Archive",
        f"  NO   Trash: the photo is in the trash since {at}",
    ]
    code, lines = why(factories.make_member(library, "editor").email, photo.pk)
    assert (code, lines[-1]) == (
        1,
        f"  NO   Trash: the photo is in the trash since {at}, from where this user may bring it back",
    )


@pytest.mark.parametrize("chief", [False, True])
def test_a_library_that_is_being_erased_is_a_reason(library: Library, photo: Photo, chief: bool) -> None:
    user = factories.make_user(is_superuser=True) if chief else factories.make_member(library, "admin")
    library.erasure_requested_at = timezone.now()
    library.save()
    reason = (
        f"the library Archive is being erased since {library.erasure_requested_at:%Y-%m-%d %H:%M} UTC, "
        "and lets nobody in"
    )
    code, lines = why(user.email, photo.pk)
    assert (code, lines[0]) == (1, f"{user.email} does not see the photo {photo.pk}: {reason}.")
    assert f"  NO   Library: {reason}" in lines
    agree(user, photo)


def test_what_a_key_opens_is_told(library: Library, photo: Photo) -> None:
    user = factories.make_member(library, "editor")
    elsewhere = factories.make_library(name="Elsewhere")
    wide = api_keys.create(owner=user, name="sync", scopes=[VIEW]).key
    narrow = api_keys.create(owner=user, name="camera", scopes=["photos.upload"]).key
    ApiKey.objects.filter(pk=narrow.pk).update(library=elsewhere)
    code, lines = why(user.email, photo.pk, "--key", f"dk_{wide.prefix}")
    assert (code, lines[0]) == (0, f"{user.email} with the key {wide} sees the photo {photo.pk}.")
    assert f"  yes  Scope of the key: the key {wide} has the scope photos.view" in lines
    code, lines = why(user.email, photo.pk, "--key", narrow.prefix)
    assert code == 1
    assert f"  NO   Scope of the key: the key {narrow} does not have the scope photos.view" in lines
    assert f"  NO   Library of the key: the key {narrow} opens the library Elsewhere alone" in lines


def test_a_key_that_opens_nothing_is_said(library: Library, photo: Photo) -> None:
    user, other = factories.make_member(library, "editor"), factories.make_member(library, "editor")
    revoked, foreign = (api_keys.create(owner=owner, name="k", scopes=[VIEW]).key for owner in (user, other))
    ApiKey.objects.filter(pk=revoked.pk).update(revoked_at=timezone.now())
    for prefix in (revoked.prefix, foreign.prefix, "0" * 12):
        with pytest.raises(CommandError, match=f"has no key dk_{prefix} that opens anything") as refused:
            call_command("why", user.email, str(photo.pk), "--key", prefix)
        assert refused.value.returncode == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nobody@example.org", "{photo}"), "There is no account nobody@example.org."),
        (("{user}", "{nothing}"), "There is no photo {nothing}: it never was, or it was deleted for good."),
        (("{user}", "holiday.jpg"), "holiday.jpg is not the id of a photo"),
    ],
)
def test_what_is_not_there_is_said(photo: Photo, arguments: tuple[str, str], message: str) -> None:
    values = {"photo": photo.pk, "user": factories.make_user().email, "nothing": uuid7()}
    with pytest.raises(CommandError) as refused:
        call_command("why", *(one.format(**values) for one in arguments))
    assert message.format(**values) in str(refused.value)


def test_a_photo_that_is_not_there_is_an_error() -> None:
    with pytest.raises(NotFoundError):
        explain_access(user=factories.make_user(), photo_id=uuid7())


def users_of(library: Library, other: Library, *, role: str | None, active: bool, chief: bool) -> User:
    user = factories.make_user(is_active=active, is_superuser=chief)
    if role is not None:
        Membership.objects.create(library=library, user=user, role=Role.objects.get(name=role))
    Membership.objects.create(library=other, user=user, role=Role.objects.get(name="admin"))
    return user


def test_the_explanation_never_differs_from_the_rule(library: Library) -> None:
    other = factories.make_library()
    Role.objects.create(name="blind", permissions=[one for one in Permission.values if one != VIEW])
    Role.objects.create(name="trash", permissions=[Permission.TRASH_PHOTOS])
    photos = [factories.make_photo(library), factories.make_photo(library, trashed_at=timezone.now())]
    roles = (None, "visitor", "editor", "admin", "blind", "trash")
    keys = [
        None,
        *(
            {"scopes": scopes, "library": where}
            for scopes, where in product(([VIEW], ["photos.edit"]), (None, library, other))
        ),
    ]
    answers = []
    for role, active, chief in product(roles, (True, False), (True, False)):
        user = users_of(library, other, role=role, active=active, chief=chief)
        for values, photo in product(keys, photos):
            user.acting_key = ApiKey(owner=user, name="k", prefix="p", **values) if values else None
            agree(user, photo)
            answers.append(Photo.objects.visible_to(user).filter(pk=photo.pk).exists())
    assert (len(answers), sum(answers)) == (336, 27)


@pytest.mark.parametrize("seed", range(5))
def test_neither_in_worlds_made_by_chance(seed: int) -> None:
    chance = random.Random(seed)
    libraries = [factories.make_library() for _ in range(3)]
    Library.objects.filter(pk=libraries[2].pk).update(erasure_requested_at=timezone.now())
    roles = [
        Role.objects.create(name=f"role {n}", permissions=chance.sample(Permission.values, chance.randrange(15)))
        for n in range(4)
    ]
    photos = [
        factories.make_photo(chance.choice(libraries), trashed_at=chance.choice([None, None, timezone.now()]))
        for _ in range(6)
    ]
    for _ in range(10):
        user = factories.make_user(is_active=chance.random() < 0.8, is_superuser=chance.random() < 0.2)
        for library in chance.sample(libraries, chance.randrange(4)):
            Membership.objects.create(library=library, user=user, role=chance.choice(roles))
        if chance.random() < 0.5:
            scopes = chance.sample(Permission.values, chance.randrange(1, 15))
            user.acting_key = ApiKey(
                owner=user, name="k", prefix="p", scopes=scopes, library=chance.choice([None, *libraries])
            )
        for photo in photos:
            agree(user, photo)


def agree(user: User, photo: Photo) -> None:
    """Hold the steps against the rule; each reason against names its own condition once."""
    explained = explain_access(user=user, photo_id=photo.pk)
    is_visible = Photo.objects.visible_to(user).filter(pk=photo.pk).exists()
    assert explained.is_visible == is_visible
    assert all(step.is_met for step in explained.steps) == is_visible, explained.summary


def test_superusers_read_it_in_the_admin(client: Client, library: Library, photo: Photo) -> None:
    user = factories.make_member(library, "visitor")
    page, address = f"/admin/photos/photo/{photo.pk}/change/", f"/admin/photos/photo/{photo.pk}/why/"
    client.force_login(factories.make_user(is_staff=True, is_superuser=True))
    assert address in client.get(page).content.decode()
    assert client.get(address).context["explained"] is None
    told = client.get(address, {"user": user.email.upper()})
    assert told.context["explained"].is_visible
    assert "Visitor in the library Archive, which allows photos.view" in told.content.decode()
    stranger = client.get(address, {"user": str(factories.make_user().pk)})
    assert not stranger.context["explained"].is_visible
    assert "No member of the library Archive" in stranger.content.decode()
    for nobody in ("nobody@example.org", "\x00", str(uuid7())):
        answer = client.get(address, {"user": nobody})
        assert (answer.status_code, answer.context["explained"], answer.context["form"].is_valid()) == (
            200,
            None,
            False,
        )
    assert client.get(f"/admin/photos/photo/{uuid7()}/why/").status_code == 404


def test_nobody_else_asks_what_others_see(client: Client, library: Library, photo: Photo) -> None:
    admin = factories.make_member(library, "admin")
    User.objects.filter(pk=admin.pk).update(is_staff=True)
    admin.user_permissions.set(AdminPermission.objects.all())
    client.force_login(admin)
    address = f"/admin/photos/photo/{photo.pk}/why/"
    assert client.get(address, {"user": admin.email}).status_code == 403
    assert address not in client.get(f"/admin/photos/photo/{photo.pk}/change/").content.decode()
