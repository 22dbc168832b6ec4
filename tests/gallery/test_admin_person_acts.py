"""Deciding about people on their page in the admin, and undoing it there."""

from http import HTTPStatus
from urllib.parse import urlencode

import factories
import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import Library
from photos.models import Face, Person, PersonDecision
from photos.services import people

pytestmark = pytest.mark.django_db

PEOPLE = "/admin/photos/person/"
DIALOG = {"_form_submitted": "True"}


@pytest.fixture
def library() -> Library:
    return factories.make_library()


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(factories.make_user(is_staff=True, is_superuser=True))
    return client


def somebody(library: Library, *, faces: int = 3, **values: object) -> tuple[Person, list[Face]]:
    person = factories.make_person(library, **values)
    return person, [factories.make_face(factories.make_photo(library), person=person) for _ in range(faces)]


def persons_of(faces: list[Face]) -> list[object]:
    found = dict(Face.objects.values_list("pk", "person_id"))
    return [found[face.pk] for face in faces]


def say(client: Client, person: Person, act: str, *faces: Face) -> list[str]:
    """Choose faces on the page of a person and press a button; gives what is said then."""
    chosen = {"act": act, "face": [str(face.pk) for face in faces]}
    response = client.post(f"{PEOPLE}{person.pk}/faces/", chosen, follow=True)
    assert response.status_code == HTTPStatus.OK
    return [str(message) for message in response.context["messages"]]


def test_faces_are_confirmed_rejected_and_split_off(admin: Client, library: Library) -> None:
    ada, faces = somebody(library, faces=6, name="Ada")
    assert say(admin, ada, "confirm", faces[0], faces[1]) == ["The faces are confirmed."]
    assert Face.objects.filter(person_decided=True).count() == 2
    assert say(admin, ada, "reject", faces[2], faces[3]) == [
        "The faces are not this person any more. It can be undone below."
    ]
    assert say(admin, ada, "split", faces[4]) == ["The faces are somebody else now. It can be undone below."]
    made = PersonDecision.objects.get(kind="split").details["made"]
    assert [str(one) for one in persons_of(faces)] == [str(ada.pk)] * 2 + ["None"] * 2 + [made, str(ada.pk)]
    assert say(admin, ada, "confirm_all") == ["All faces are confirmed."]
    assert ada.faces.filter(person_decided=True).count() == ada.faces.count() == 3
    assert PersonDecision.objects.filter(by__is_superuser=True).count() == PersonDecision.objects.count() == 4


def test_a_face_stands_for_a_person(admin: Client, library: Library) -> None:
    ada, faces = somebody(library, name="Ada")
    assert say(admin, ada, "cover", faces[2]) == ["The face stands for this person."]
    assert Person.objects.get(pk=ada.pk).chosen_cover_id == faces[2].pk


def test_what_cannot_be_is_said(admin: Client, library: Library) -> None:
    ada, faces = somebody(library, name="Ada")
    _, others = somebody(library)
    all_or_none = ["Choose some of the person's faces, and leave some."]
    assert say(admin, ada, "split") == say(admin, ada, "reject", *faces) == all_or_none
    assert say(admin, ada, "confirm", others[0]) == ["Not all of these faces are this person's."]
    assert say(admin, ada, "cover", *faces) == ["Choose one face."]
    assert say(admin, ada, "something else") == []
    wrong = admin.post(f"{PEOPLE}{ada.pk}/faces/", {"act": "confirm", "face": "x"})
    assert wrong.status_code == HTTPStatus.BAD_REQUEST
    assert (PersonDecision.objects.count(), persons_of(faces)) == (0, [ada.pk] * 3)


def test_two_people_are_merged_and_it_is_undone(admin: Client, library: Library) -> None:
    ada, hers = somebody(library, name="Ada")
    bob, his = somebody(library, name="Bob")
    page = f"{PEOPLE}{ada.pk}/merge/"
    assert "This is the same person" in admin.get(page).content.decode()

    merged = admin.post(page, {"other": str(bob.pk)}, follow=True)

    assert merged.redirect_chain == [(f"{PEOPLE}{ada.pk}/change/", HTTPStatus.FOUND)]
    assert persons_of([*hers, *his]) == [ada.pk] * 6
    assert admin.get(f"{PEOPLE}{bob.pk}/change/").status_code == HTTPStatus.FOUND
    decision = PersonDecision.objects.get()
    shown = merged.content.decode()
    assert f'action="{PEOPLE}{ada.pk}/undo/{decision.pk}/"' in shown

    undone = admin.post(f"{PEOPLE}{ada.pk}/undo/{decision.pk}/", follow=True)

    assert str(list(undone.context["messages"])[-1]) == "It is undone."
    assert persons_of([*hers, *his]) == [ada.pk] * 3 + [bob.pk] * 3
    assert f"/undo/{decision.pk}/" not in undone.content.decode()
    again = admin.post(f"{PEOPLE}{ada.pk}/undo/{decision.pk}/", follow=True)
    assert [str(message) for message in again.context["messages"]] == ["It has been undone already."]


def test_only_others_of_the_library_are_merged(admin: Client, library: Library) -> None:
    ada, _ = somebody(library, name="Ada")
    foreign, _ = somebody(factories.make_library(), name="Eve")
    assert admin.post(f"{PEOPLE}{ada.pk}/merge/", {"other": "x"}).status_code == HTTPStatus.BAD_REQUEST
    for other in ("", ada.pk, foreign.pk):
        response = admin.post(f"{PEOPLE}{ada.pk}/merge/", {"other": str(other)})
        assert response.status_code == HTTPStatus.OK
        assert list(response.context["form"].errors) == ["other"]
    assert PersonDecision.objects.count() == 0


def test_somebody_is_hidden_and_shown(admin: Client, library: Library) -> None:
    ada, _ = somebody(library, name="Ada")

    def listed(**query: str) -> list[Person]:
        return list(admin.get(f"{PEOPLE}?{urlencode(query)}").context["cl"].result_list)

    assert admin.post(f"{PEOPLE}{ada.pk}/hide/", DIALOG).headers["HX-Refresh"] == "true"
    assert (listed(), listed(hidden="1")) == ([], [ada])
    page = admin.get(f"{PEOPLE}{ada.pk}/change/").content.decode()
    assert f"{PEOPLE}{ada.pk}/show" in page
    assert f"{PEOPLE}{ada.pk}/hide" not in page
    assert admin.post(f"{PEOPLE}{ada.pk}/show/", DIALOG).headers["HX-Refresh"] == "true"
    assert (listed(), listed(hidden="1")) == ([ada], [])


def test_who_may_only_look_is_offered_nothing_and_refused(client: Client, library: Library) -> None:
    ada, faces = somebody(library, name="Ada")
    bob, _ = somebody(library, name="Bob")
    decision = people.rename_person(person=ada, name="Ada L.")
    visitor = factories.make_member(library, "visitor")
    visitor.is_staff = True
    visitor.save()
    visitor.user_permissions.set(Permission.objects.all())
    client.force_login(visitor)

    page = client.get(f"{PEOPLE}{ada.pk}/change/").content.decode()
    for way in ("merge", "faces", "hide", f"undo/{decision.pk}"):
        assert f'{PEOPLE}{ada.pk}/{way}/"' not in page or way == "faces"
    assert 'name="act"' not in page
    assert "What was decided" in page
    answers = [
        client.get(f"{PEOPLE}{ada.pk}/merge/"),
        client.post(f"{PEOPLE}{ada.pk}/merge/", {"other": str(bob.pk)}),
        client.post(f"{PEOPLE}{ada.pk}/faces/", {"act": "confirm_all"}),
        client.post(f"{PEOPLE}{ada.pk}/hide/", DIALOG),
        client.post(f"{PEOPLE}{ada.pk}/undo/{decision.pk}/"),
    ]
    assert [answer.status_code for answer in answers] == [HTTPStatus.FORBIDDEN] * 5
    assert (PersonDecision.objects.count(), persons_of(faces)) == (1, [ada.pk] * 3)


def test_decisions_of_another_library_are_not_there(admin: Client, library: Library) -> None:
    ada, _ = somebody(library, name="Ada")
    foreign, _ = somebody(factories.make_library(), name="Eve")
    decision = people.rename_person(person=foreign, name="Eva")
    assert admin.post(f"{PEOPLE}{ada.pk}/undo/{decision.pk}/").status_code == HTTPStatus.NOT_FOUND
    decision.refresh_from_db()
    assert decision.undone_at is None


def test_nothing_is_done_by_following_a_link(admin: Client, library: Library) -> None:
    ada, _ = somebody(library, name="Ada")
    decision = people.rename_person(person=ada, name="Ada L.")
    for way in ("faces/?act=confirm_all", f"undo/{decision.pk}/", "hide/"):
        admin.get(f"{PEOPLE}{ada.pk}/{way}")
    assert PersonDecision.objects.in_force().count() == 1
    assert not Person.objects.get(pk=ada.pk).is_hidden


def test_the_page_costs_the_same_queries_however_much_was_decided(admin: Client, library: Library) -> None:
    ada, faces = somebody(library, faces=12, name="Ada")
    page = f"{PEOPLE}{ada.pk}/change/"
    admin.get(page)
    people.confirm_faces(person=ada, face_ids=[faces[0].pk])
    with CaptureQueriesContext(connection) as few:
        admin.get(page)
    for face in faces[1:8]:
        people.confirm_faces(person=ada, face_ids=[face.pk])
    with CaptureQueriesContext(connection) as many:
        assert len(admin.get(page).context["decisions"]) == 8
    assert len(many) == len(few)
