"""`manage.py forget`: what it says, asks and does."""

import io
from collections.abc import Callable
from typing import Any

import factories
import photo_samples
import pytest
import redis
from django.core.management import CommandError, call_command

from accounts.models import AuditEvent, ErasureReceipt, Library, Membership, User
from photos.models import Face, Person, Photo
from processing.models import LibraryRun

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("photo_store")]


def forget(*arguments: str) -> str:
    out = io.StringIO()
    call_command("forget", *arguments, stdout=out)
    return out.getvalue()


def answer(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_it_says_what_goes_and_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    library = factories.make_library()
    person = factories.make_person(library, name="Ada")
    factories.make_face(factories.make_photo(library), person=person)
    extent = "Person 'Ada' will be erased for good:\n  photos: 1\n  faces: 1\n  embeddings: 0\n"
    assert forget("--person", str(person.pk), "--dry-run") == f"{extent}Nothing was changed.\n"
    answer(monkeypatch, "n\n")
    assert forget("--person", str(person.pk)) == f"{extent}Erase it? [y/N] Nothing was changed.\n"
    assert (Person.objects.get().name, ErasureReceipt.objects.count()) == ("Ada", 0)
    answer(monkeypatch, "y\n")
    said = forget("--person", str(person.pk))
    receipt = ErasureReceipt.objects.get()
    assert said.endswith(f"Erased: faces 1, people 1, photos 1, embeddings 0. Receipt {receipt.pk}.\n")
    assert (Person.objects.count(), Face.objects.count(), Photo.objects.count()) == (0, 0, 1)


def test_a_library_by_its_name_or_only_its_faces() -> None:
    library = factories.make_library(name="Family")
    photo_samples.take_in(library, photo_samples.picture())
    factories.make_face(Photo.objects.get())
    assert "All that is known of faces in 'Family'" in forget("--library", "Family", "--faces", "--yes")
    library.refresh_from_db()
    assert (Face.objects.count(), Photo.objects.count(), library.face_analysis) == (0, 1, False)
    forget("--library", "Family", "--yes")
    assert (Library.objects.count(), Photo.objects.count()) == (0, 0)
    kinds = set(ErasureReceipt.objects.filter(ended_at__isnull=False).values_list("kind", flat=True))
    assert kinds == {"faces", "library"}


def test_an_account_by_address_or_id() -> None:
    one, other = factories.make_user(email="ada@example.org"), factories.make_user()
    assert "users 1" in forget("--user", "Ada@example.org", "--yes")
    assert list(User.objects.all()) == [other]
    forget("--user", str(other.pk), "--yes")
    assert not User.objects.exists()
    assert set(ErasureReceipt.objects.values_list("subject_id", flat=True)) == {one.pk, other.pk}


@pytest.mark.parametrize(
    "arguments",
    [
        ("--user", "nobody@example.org"),
        ("--library", "Nowhere"),
        ("--person", "no id"),
        ("--user", "a@example.org", "--faces"),
        (),
        ("--user", "a", "--library", "b"),
    ],
)
def test_what_cannot_be_is_said(arguments: tuple[str, ...], capsys: Any) -> None:
    with pytest.raises(CommandError):
        forget(*arguments)
    assert ErasureReceipt.objects.count() == 0


def test_a_refusal_of_the_domain_is_said() -> None:
    user = factories.make_member(factories.make_library(), "admin")
    with pytest.raises(CommandError, match="last admin"):
        forget("--user", user.email, "--yes")
    assert User.objects.filter(pk=user.pk).exists()


def everything() -> list[object]:
    """Give all rows that an erasure begins with."""
    models = (User, Library, Membership, Photo, Person, Face, LibraryRun, ErasureReceipt, AuditEvent)
    return [list(model.objects.order_by("pk").values()) for model in models]


def superuser() -> tuple[User, str]:
    return factories.make_user(is_superuser=True), "last_superuser"


def last_admin() -> tuple[User, str]:
    return factories.make_member(factories.make_library(), "admin"), "last_admin"


@pytest.mark.parametrize("make", [superuser, last_admin])
def test_a_dry_run_says_what_would_be_refused(make: Callable[[], tuple[User, str]]) -> None:
    user, code = make()
    before = everything()
    out = io.StringIO()

    with pytest.raises(CommandError, match=rf"^It would be refused \({code}\): .* Nothing was changed\.$") as refused:
        call_command("forget", "--user", user.email, "--dry-run", stdout=out)

    assert refused.value.returncode == 1
    assert out.getvalue().startswith(f"User {user.email!r} will be erased for good:\n  memberships: ")
    assert "Nothing was changed" not in out.getvalue()
    assert everything() == before


def test_a_dry_run_of_what_is_allowed_changes_nothing(broker: redis.Redis) -> None:
    library = factories.make_library(name="Family")
    user = factories.make_member(library, "visitor")
    person = factories.make_person(library, name="Ada")
    factories.make_face(factories.make_photo(library), person=person)
    before = everything()

    for subject in (("--user", user.email), ("--person", str(person.pk)), ("--library", "Family")):
        assert forget(*subject, "--dry-run").endswith("\nNothing was changed.\n")
    assert forget("--library", "Family", "--faces", "--dry-run").endswith("\nNothing was changed.\n")

    assert everything() == before
    assert broker.keys() == []  # no worker was rung for
