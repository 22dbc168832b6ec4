"""People and faces in the admin: chips, names, and moving a face."""

from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlencode

import factories
import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import Library
from accounts.problems import NotFoundError
from photos.models import Face, Person
from photos.services import people, trash

pytestmark = pytest.mark.django_db

PEOPLE = "/admin/photos/person/"
FACES = "/admin/photos/face/"


@pytest.fixture
def library() -> Library:
    return factories.make_library()


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(factories.make_user(is_staff=True, is_superuser=True))
    return client


def found(client: Client, page: str, **parameters: object) -> list[Person] | list[Face]:
    response = client.get(f"{page}?{urlencode(parameters)}")
    assert response.status_code == HTTPStatus.OK, response.headers
    return list(response.context["cl"].result_list)


def test_people_are_shown_by_their_best_face_with_counts(admin: Client, library: Library) -> None:
    ada = factories.make_person(library, name="Ada")
    photo = factories.make_photo(library)
    factories.make_face(photo, person=ada, quality=0.4)
    best = factories.make_face(photo, person=ada, quality=0.9)
    factories.make_face(factories.make_photo(library), person=ada, quality=0.6)
    factories.make_face(photo, person=ada, quality=0.99, confidence=0.85)
    page = admin.get(PEOPLE).content.decode()
    assert f'src="/admin/photos/face/{best.pk}/chip/?v=' in page
    assert "3 faces" in page
    assert "2 photos" in page


def test_somebody_without_faces_is_shown_too(admin: Client, library: Library) -> None:
    factories.make_person(library, name="Nobody yet")
    page = admin.get(PEOPLE).content.decode()
    assert "Nobody yet" in page
    assert "0 faces" in page


def test_people_cost_the_same_queries_however_many_they_are(admin: Client, library: Library) -> None:
    def make(count: int) -> None:
        for _ in range(count):
            factories.make_face(factories.make_photo(library), person=factories.make_person(library))

    make(3)
    admin.get(PEOPLE)
    with CaptureQueriesContext(connection) as few:
        assert len(found(admin, PEOPLE)) == 3
    make(27)
    with CaptureQueriesContext(connection) as many:
        assert len(found(admin, PEOPLE)) == 30
    # session, user, dead letters of both ledgers, count, people
    assert (len(few), len(many)) == (6, 6)


def test_people_are_found_and_ordered(admin: Client, library: Library) -> None:
    ada, bob = factories.make_person(library, name="Ada"), factories.make_person(library, name="Bob")
    nameless = factories.make_person(library)
    factories.make_face(factories.make_photo(library), person=bob)
    assert found(admin, PEOPLE) == [nameless, bob, ada]
    assert found(admin, PEOPLE, q="ad") == [ada]
    assert found(admin, PEOPLE, named="1") == [bob, ada]
    assert found(admin, PEOPLE, named="0") == [nameless]
    orders = {str(name): url for name, url, _current in admin.get(PEOPLE).context["cl"].orders}
    by_count = list(admin.get(PEOPLE + orders["Most faces first"]).context["cl"].result_list)
    assert by_count[0] == bob
    by_name = list(admin.get(PEOPLE + orders["By name"]).context["cl"].result_list)
    assert by_name == [nameless, ada, bob]


def test_who_has_no_name_is_called_the_same_on_every_page(admin: Client, library: Library) -> None:
    person, photo = factories.make_person(library), factories.make_photo(library)
    face = factories.make_face(photo, person=person)
    called = f"unnamed person {str(person.pk)[-6:]}"
    assert str(person) == called
    for address in (PEOPLE, "/admin/photos/face/", f"/admin/photos/face/{face.pk}/change/"):
        assert called in admin.get(address).content.decode(), address
    page = admin.get(f"/admin/photos/photo/{photo.pk}/change/").content.decode()
    assert f'<span class="dr-sub">{called}</span>' in page


def test_a_person_gets_a_name_and_loses_it(admin: Client, library: Library) -> None:
    person = factories.make_person(library)
    page = f"{PEOPLE}{person.pk}/change/"
    assert admin.post(page, {"name": "  Ada Lovelace "}).status_code == HTTPStatus.FOUND
    person.refresh_from_db()
    assert person.name == "Ada Lovelace"
    too_long = admin.post(page, {"name": "x" * 201})
    assert too_long.status_code == HTTPStatus.OK
    person.refresh_from_db()
    assert person.name == "Ada Lovelace"
    admin.post(page, {"name": ""})
    person.refresh_from_db()
    assert person.name == ""


def test_the_page_of_a_person_shows_the_faces(admin: Client, library: Library) -> None:
    ada = factories.make_person(library, name="Ada")
    photo, gone = factories.make_photo(library, original_filename="boat.jpg"), factories.make_photo(library)
    face = factories.make_face(photo, person=ada)
    factories.make_face(gone, person=ada)
    factories.make_face(photo)
    trash.move_to_trash(photo_ids=[gone.pk])
    response = admin.get(f"{PEOPLE}{ada.pk}/change/")
    assert [shown for shown, _url in response.context["person_faces"]] == [face]
    page = response.content.decode()
    assert f'href="/admin/photos/photo/{photo.pk}/change/" title="boat.jpg"' in page
    assert found(admin, FACES, person__id__exact=ada.pk) == [face]


def test_nobody_adds_or_deletes_people_or_faces(admin: Client, library: Library) -> None:
    person = factories.make_person(library)
    face = factories.make_face(factories.make_photo(library), person=person)
    for page, row in ((PEOPLE, person), (FACES, face)):
        assert admin.post(f"{page}add/", {}).status_code == HTTPStatus.FORBIDDEN
        assert admin.post(f"{page}{row.pk}/delete/", {"post": "yes"}).status_code == HTTPStatus.FORBIDDEN
    assert Person.objects.filter(pk=person.pk).exists()
    assert Face.objects.filter(pk=face.pk).exists()


def test_a_face_is_moved_for_good(admin: Client, library: Library) -> None:
    ada, bob = factories.make_person(library, name="Ada"), factories.make_person(library, name="Bob")
    face = factories.make_face(factories.make_photo(library), person=ada)
    page = f"{FACES}{face.pk}/change/"
    assert admin.get(page).status_code == HTTPStatus.OK
    assert admin.post(page, {"person": bob.pk}).status_code == HTTPStatus.FOUND
    face.refresh_from_db()
    assert (face.person, face.person_decided) == (bob, True)
    admin.post(page, {"person": ""})
    face.refresh_from_db()
    assert (face.person, face.person_decided) == (None, True)


def test_a_face_stays_in_its_library(admin: Client, library: Library) -> None:
    stranger = factories.make_person(factories.make_library(), name="Stranger")
    face = factories.make_face(factories.make_photo(library))
    response = admin.post(f"{FACES}{face.pk}/change/", {"person": stranger.pk})
    assert response.status_code == HTTPStatus.OK
    assert list(response.context["adminform"].form.errors) == ["person"]
    face.refresh_from_db()
    assert (face.person, face.person_decided) == (None, False)


def test_a_decision_that_comes_too_late_is_said(
    admin: Client, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    face = factories.make_face(factories.make_photo(library))

    def too_late(**_arguments: object) -> None:
        raise NotFoundError("The face is gone: it was not found again.")

    # the face goes between the form and the decision: a moment that no test can hit
    monkeypatch.setattr(people, "decide_face", too_late)
    page = f"{FACES}{face.pk}/change/"
    response = admin.post(page, {"person": factories.make_person(library).pk}, follow=True)
    assert response.redirect_chain == [(page, HTTPStatus.FOUND)]
    assert [str(message) for message in response.context["messages"]] == ["The face is gone: it was not found again."]


def test_faces_are_filtered(admin: Client, library: Library) -> None:
    photo = factories.make_photo(library)
    ada = factories.make_person(library)
    kept = factories.make_face(photo, person=ada)
    candidate = factories.make_face(photo, confidence=0.85)
    assert found(admin, FACES, kept="1") == [kept]
    assert found(admin, FACES, kept="0") == [candidate]
    assert found(admin, FACES, belongs="1") == [kept]
    assert found(admin, FACES, belongs="0") == [candidate]
    assert found(admin, FACES, photo__library__id__exact=factories.make_library().pk) == []


def test_faces_cost_the_same_queries_however_many_they_are(admin: Client, library: Library) -> None:
    for _ in range(3):
        factories.make_face(factories.make_photo(library), person=factories.make_person(library))
    admin.get(FACES)
    with CaptureQueriesContext(connection) as few:
        found(admin, FACES)
    for _ in range(27):
        factories.make_face(factories.make_photo(library), person=factories.make_person(library))
    with CaptureQueriesContext(connection) as many:
        assert len(found(admin, FACES)) == 30
    # session, user, libraries that are being erased, dead letters of both ledgers, count, faces
    assert (len(few), len(many)) == (7, 7)


def test_chips_are_served_to_whoever_may_see_people(client: Client, library: Library, photo_store: Path) -> None:
    data = factories.image_bytes()
    face = factories.make_face(factories.make_photo(library), chip=data)
    foreign = factories.make_face(factories.make_photo(factories.make_library()), chip=data)
    user = factories.make_member(library, "visitor")
    user.is_staff = True
    user.save()
    client.force_login(user)
    assert client.get(f"{FACES}{face.pk}/chip/").status_code == HTTPStatus.FORBIDDEN
    user.user_permissions.set(Permission.objects.filter(codename="view_face"))
    response = client.get(f"{FACES}{face.pk}/chip/")
    assert b"".join(response) == data
    assert response["X-Content-Type-Options"] == "nosniff"
    assert client.get(f"{FACES}{foreign.pk}/chip/").status_code == HTTPStatus.NOT_FOUND
