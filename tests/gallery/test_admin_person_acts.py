"""Deciding about people on their page in the admin, and undoing it there."""

from http import HTTPStatus
from urllib.parse import urlencode

import factories
import pytest
from admin_clients import DIALOG, ask, messages_of, offered, staff_client
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from people_samples import everything, links, persons_of, somebody

from accounts.models import AuditAction, AuditEvent, Library
from photos.models import Face, Person, PersonDecision
from photos.services import people

pytestmark = pytest.mark.django_db

PEOPLE = "/admin/photos/person/"
FACES = "/admin/photos/face/"
DECISIONS = "/admin/photos/persondecision/"
BELOW = "It can be undone below."


@pytest.fixture
def library() -> Library:
    return factories.make_library()


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(factories.make_user(is_staff=True, is_superuser=True))
    return client


def say(client: Client, person: Person, act: str, *faces: Face, **also: str) -> list[str]:
    """Choose faces on the page of a person and press a button; gives what is said then."""
    chosen = {"act": act, "face": [str(face.pk) for face in faces], **also}
    response = client.post(f"{PEOPLE}{person.pk}/faces/", chosen, follow=True)
    assert response.status_code == HTTPStatus.OK
    return messages_of(response)


def test_faces_are_confirmed_rejected_and_split_off(admin: Client, library: Library) -> None:
    ada, faces = somebody(library, faces=6, name="Ada")
    assert say(admin, ada, "confirm", faces[0], faces[1]) == [f"The faces are confirmed. {BELOW}"]
    assert Face.objects.filter(person_decided=True).count() == 2
    assert say(admin, ada, "reject", faces[2], faces[3]) == [f"The faces are not this person any more. {BELOW}"]
    assert say(admin, ada, "split", faces[4]) == [f"The faces are somebody else now: this is who. {BELOW}"]
    made = PersonDecision.objects.get(kind="split").details["made"]
    assert [str(one) for one in persons_of(faces)] == [str(ada.pk)] * 2 + ["None"] * 2 + [made, str(ada.pk)]
    assert ask(admin, f"{PEOPLE}{ada.pk}/confirm_all/") == ["All faces are confirmed."]
    assert ada.faces.filter(person_decided=True).count() == ada.faces.count() == 3
    assert PersonDecision.objects.filter(by__is_superuser=True).count() == PersonDecision.objects.count() == 4
    told = AuditEvent.objects.filter(library_id=library.pk, action=AuditAction.ADMIN_CHANGED, subject_id=str(ada.pk))
    assert told.count() == 4


def test_all_faces_of_somebody_with_a_name_are_rejected(admin: Client, library: Library) -> None:
    ada, faces = somebody(library, name="Ada")
    assert say(admin, ada, "reject", *faces) == [f"The faces are not this person any more. {BELOW}"]
    assert links() == {(face.pk, "is_not", ada.pk) for face in faces}
    assert persons_of(faces) == [None, None]
    assert Person.objects.get().name == "Ada"


def test_a_face_stands_for_a_person_until_the_best_does_again(admin: Client, library: Library) -> None:
    ada, faces = somebody(library, name="Ada")
    assert say(admin, ada, "cover", faces[1]) == [f"The face stands for this person. {BELOW}"]
    assert Person.objects.get(pk=ada.pk).chosen_cover_id == faces[1].pk
    assert say(admin, ada, "best_cover") == [f"The best face stands for this person. {BELOW}"]
    assert Person.objects.get(pk=ada.pk).chosen_cover_id is None


def test_very_many_faces_are_asked_about_once_more(admin: Client, library: Library) -> None:
    ada, faces = somebody(library, faces=23, name="Ada")
    many = {"act": "reject", "face": [str(face.pk) for face in faces[:21]]}
    before = everything()

    page = admin.post(f"{PEOPLE}{ada.pk}/faces/", many)

    assert page.status_code == HTTPStatus.OK
    text = page.content.decode()
    assert "21 faces of Ada" in text
    assert text.count('name="face"') == 21
    assert everything() == before
    assert not AuditEvent.objects.filter(action=AuditAction.ADMIN_CHANGED).exists()
    assert say(admin, ada, "reject", *faces[:21], sure="yes") == [f"The faces are not this person any more. {BELOW}"]
    assert persons_of(faces) == [None] * 21 + [ada.pk] * 2


def test_what_cannot_be_is_said(admin: Client, library: Library) -> None:
    ada, faces = somebody(library, name="Ada")
    _, others = somebody(library)
    before = everything()
    assert say(admin, ada, "split") == say(admin, ada, "reject") == ["Choose faces of the person's."]
    assert say(admin, ada, "split", *faces) == ["Leave some of the person's faces: all of them are the person."]
    assert say(admin, ada, "confirm", others[0]) == ["Not all of these faces are this person's."]
    assert say(admin, ada, "cover", *faces) == ["Choose one face."]
    assert say(admin, ada, "something else") == []
    wrong = admin.post(f"{PEOPLE}{ada.pk}/faces/", {"act": "confirm", "face": "x"})
    assert wrong.status_code == HTTPStatus.BAD_REQUEST
    assert everything() == before


def test_people_are_shown_side_by_side_merged_and_it_is_undone(admin: Client, library: Library) -> None:
    ada, hers = somebody(library, name="Ada")
    bob, his = somebody(library, faces=3, name="Bob")
    page = f"{PEOPLE}{ada.pk}/merge/review/"
    assert admin.get(f"{PEOPLE}{ada.pk}/merge/").headers["Location"] == page
    assert "This is the same person" in admin.get(page).content.decode()
    before = everything()
    review = admin.get(f"{page}?other={bob.pk}")
    # who has a name and most faces is proposed to stay
    assert [one.pk for one, _chip in review.context["everybody"]] == [bob.pk, ada.pk]
    assert "5 faces together" in review.content.decode()
    assert everything() == before

    merged = admin.post(page, {"other": str(bob.pk), "stays": str(ada.pk)}, follow=True)

    assert merged.redirect_chain == [(f"{PEOPLE}{ada.pk}/change/", HTTPStatus.FOUND)]
    assert persons_of([*hers, *his]) == [ada.pk] * 5
    gone = admin.get(f"{PEOPLE}{bob.pk}/change/")
    assert gone.headers["Location"] == f"{PEOPLE}{ada.pk}/change/"
    decision = PersonDecision.objects.get()
    assert f'hx-get="{DECISIONS}{decision.pk}/undo"' in merged.content.decode().replace('undo/"', 'undo"')

    assert ask(admin, f"{DECISIONS}{decision.pk}/undo/")[-1] == "It is undone."

    assert persons_of([*hers, *his]) == [ada.pk] * 2 + [bob.pk] * 3
    assert ask(admin, f"{DECISIONS}{decision.pk}/undo/") == ["It has been undone already."]
    assert PersonDecision.objects.get().undone_by.is_superuser


def test_the_other_one_stays_if_nobody_says_who(admin: Client, library: Library) -> None:
    nameless, _ = somebody(library, faces=4)
    bob, _ = somebody(library, name="Bob")
    done = admin.post(f"{PEOPLE}{nameless.pk}/merge/review/", {"other": str(bob.pk)}, follow=True)
    assert done.redirect_chain == [(f"{PEOPLE}{bob.pk}/change/", HTTPStatus.FOUND)]
    assert Person.objects.get(pk=nameless.pk).merged_into_id == bob.pk


def test_only_others_of_the_library_are_merged(admin: Client, library: Library) -> None:
    ada, _ = somebody(library, name="Ada")
    bob, _ = somebody(library, name="Bob")
    foreign, _ = somebody(factories.make_library(), name="Eve")
    page = f"{PEOPLE}{ada.pk}/merge/review/"
    before = everything()
    wrong = [{"other": other} for other in ("", "x", str(ada.pk), str(foreign.pk))]
    wrong.append({"other": str(bob.pk), "stays": str(foreign.pk)})
    third, _ = somebody(library)
    before = everything()
    wrong.append({"other": str(bob.pk), "stays": str(third.pk)})
    for given in wrong:
        response = admin.post(page, given)
        assert response.status_code == HTTPStatus.OK
        assert response.context["form"].errors, given
    assert everything() == before
    offered_there = admin.get(
        f"/admin/autocomplete/?of_library={library.pk}&app_label=photos&model_name=face&field_name=person&term=e"
    ).json()["results"]
    assert str(foreign.pk) not in {one["id"] for one in offered_there}


def test_a_merge_that_contradicts_what_was_said_is_refused_and_says_why(admin: Client, library: Library) -> None:
    ada, _ = somebody(library, name="Ada")
    bob, his = somebody(library, name="Bob")
    people.reject_face(face=his[0], person=ada)
    people.confirm_faces(person=bob, face_ids=[his[0].pk])
    before = everything()
    refused = admin.post(f"{PEOPLE}{ada.pk}/merge/review/", {"other": str(bob.pk)}, follow=True)
    [said] = messages_of(refused)
    assert "was said not to be another of them" in said
    assert everything() == before


def test_somebody_is_hidden_and_shown(admin: Client, library: Library) -> None:
    ada, _ = somebody(library, name="Ada")

    def listed(**query: str) -> list[Person]:
        return list(admin.get(f"{PEOPLE}?{urlencode(query)}").context["cl"].result_list)

    assert ask(admin, f"{PEOPLE}{ada.pk}/hide/") == ["The person is hidden."]
    assert (listed(), listed(hidden="1")) == ([], [ada])
    assert offered(admin, f"{PEOPLE}{ada.pk}/change/") == {"merge", "confirm_all", "show", "forget"}
    assert ask(admin, f"{PEOPLE}{ada.pk}/show/") == ["The person is shown."]
    assert (listed(), listed(hidden="1")) == ([ada], [])
    assert offered(admin, f"{PEOPLE}{ada.pk}/change/") == {"merge", "confirm_all", "hide", "forget"}


def test_one_face_is_confirmed_rejected_and_given_to_somebody_new(admin: Client, library: Library) -> None:
    ada, [face, other] = somebody(library, name="Ada")
    page = f"{FACES}{face.pk}/"
    assert offered(admin, f"{page}change/") == {"confirm", "reject", "to_somebody_new"}
    assert ask(admin, f"{page}confirm/") == ["The face is confirmed."]
    assert links() == {(face.pk, "is", ada.pk), (other.pk, "held", ada.pk)}
    assert offered(admin, f"{page}change/") == {"reject", "to_somebody_new"}
    assert ask(admin, f"{page}reject/") == ["The face is not that person any more."]
    assert persons_of([face]) == [None]
    assert offered(admin, f"{page}change/") == {"to_somebody_new"}
    assert ask(admin, f"{page}reject/") == ["The face is nobody's: say who it is not."]
    assert ask(admin, f"{page}to_somebody_new/", name="Grace") == ["The face is somebody new."]
    assert Face.objects.get(pk=face.pk).person.name == "Grace"
    shown = admin.get(f"{page}change/").context["decisions"]
    assert [one.kind for one in shown] == ["move", "reject", "confirm"]
    # the name that stayed with the other face says nothing of this one
    people.rename_person(person=ada, name="Ada L.")
    assert len(admin.get(f"{page}change/").context["decisions"]) == 3


def test_a_face_moves_to_others_of_the_library_alone(admin: Client, library: Library) -> None:
    _, [face, _other] = somebody(library, name="Ada")
    bob, _ = somebody(library, name="Bob")
    foreign, _ = somebody(factories.make_library(), name="Eve")
    page = f"{FACES}{face.pk}/change/"
    assert f"of_library={library.pk}" in admin.get(page).content.decode()
    before = everything()
    assert admin.post(page, {"person": str(foreign.pk)}).status_code == HTTPStatus.OK
    assert everything() == before
    assert admin.post(page, {"person": str(bob.pk)}).status_code == HTTPStatus.FOUND
    assert persons_of([face]) == [bob.pk]


@pytest.mark.parametrize("role", ["visitor", None])
def test_who_may_only_look_is_offered_nothing_and_refused(library: Library, role: str | None) -> None:
    ada, faces = somebody(library, name="Ada")
    bob, _ = somebody(library, name="Bob")
    decision = people.rename_person(person=ada, name="Ada L.")
    client = staff_client(library if role else factories.make_library(), role or "admin")
    expected = HTTPStatus.FORBIDDEN if role else HTTPStatus.NOT_FOUND
    before = everything()

    if role:
        page = client.get(f"{PEOPLE}{ada.pk}/change/")
        text = page.content.decode()
        assert 'name="act"' not in text
        assert "/undo" not in text
        assert "What was decided" in text
        assert offered(client, f"{PEOPLE}{ada.pk}/change/") == set()
        assert offered(client, f"{FACES}{faces[0].pk}/change/") == set()
        assert offered(client, f"{DECISIONS}{decision.pk}/change/") == set()
    answers = [
        client.get(f"{PEOPLE}{ada.pk}/merge/review/"),
        client.post(f"{PEOPLE}{ada.pk}/merge/review/", {"other": str(bob.pk)}),
        client.post(f"{PEOPLE}{ada.pk}/faces/", {"act": "confirm", "face": str(faces[0].pk)}),
        client.post(f"{PEOPLE}{ada.pk}/confirm_all/", DIALOG),
        client.post(f"{PEOPLE}{ada.pk}/hide/", DIALOG),
        *(client.post(f"{FACES}{faces[0].pk}/{one}/", DIALOG) for one in ("confirm", "reject", "to_somebody_new")),
        client.post(f"{DECISIONS}{decision.pk}/undo/", DIALOG),
    ]
    assert [answer.status_code for answer in answers] == [expected] * 9
    assert everything() == before


def test_nothing_is_done_by_following_a_link_or_without_the_token(library: Library) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(factories.make_user(is_staff=True, is_superuser=True))
    ada, faces = somebody(library, name="Ada")
    bob, _ = somebody(library, name="Bob")
    decision = people.rename_person(person=ada, name="Ada L.")
    before = everything()
    ways = [
        f"{PEOPLE}{ada.pk}/faces/?act=confirm&face={faces[0].pk}",
        f"{PEOPLE}{ada.pk}/merge/review/?other={bob.pk}&stays={ada.pk}",
        f"{PEOPLE}{ada.pk}/hide/?_form_submitted=True",
        f"{FACES}{faces[0].pk}/reject/?_form_submitted=True",
        f"{DECISIONS}{decision.pk}/undo/?_form_submitted=True",
    ]
    for way in ways:
        assert client.get(way).status_code in (HTTPStatus.OK, HTTPStatus.FOUND), way
        assert client.post(way, DIALOG).status_code == HTTPStatus.FORBIDDEN, way
    assert everything() == before


def test_decisions_are_listed_found_and_undone_from_the_last_one_back(admin: Client, library: Library) -> None:
    ada, [face, _other] = somebody(library, name="Ada")
    bob, _ = somebody(library, name="Bob")
    named = people.rename_person(person=ada, name="Ada L.")
    moved = people.decide_face(face=face, person=bob)
    foreign, _ = somebody(factories.make_library(), name="Eve")
    elsewhere = people.rename_person(person=foreign, name="Eva")

    def found(**query: object) -> list[PersonDecision]:
        return list(admin.get(f"{DECISIONS}?{urlencode(query)}").context["cl"].result_list)

    assert found() == [elsewhere, moved, named]
    assert found(library__id__exact=library.pk) == [moved, named]
    assert found(about=ada.pk) == [moved, named]
    assert found(about=bob.pk) == [moved]
    assert found(about="x") == []
    assert found(kind="name", q="ada l") == [named]
    assert found(undone="1") == []
    page = admin.get(f"{DECISIONS}{moved.pk}/change/")
    assert [one.pk for one, _chip in page.context["said_faces"]] == [face.pk]
    again = people.rename_person(person=ada, name="Ada Lovelace")
    [refused] = ask(admin, f"{DECISIONS}{named.pk}/undo/")
    assert "later" in refused or "since" in refused
    assert PersonDecision.objects.in_force().count() == 4
    assert ask(admin, f"{DECISIONS}{again.pk}/undo/") == ["It is undone."]
    assert ask(admin, f"{DECISIONS}{moved.pk}/undo/") == ["It is undone."]
    assert found(undone="1") == [again, moved]
    assert found(undone="0") == [elsewhere, named]
    assert offered(admin, f"{DECISIONS}{moved.pk}/change/") == set()


def test_pages_and_lists_cost_the_same_queries_however_much_was_decided(admin: Client, library: Library) -> None:
    ada, faces = somebody(library, faces=12, name="Ada")
    page = f"{PEOPLE}{ada.pk}/change/"
    people.confirm_faces(person=ada, face_ids=[faces[0].pk])
    admin.get(page), admin.get(DECISIONS)
    with CaptureQueriesContext(connection) as few:
        admin.get(page)
    with CaptureQueriesContext(connection) as short:
        assert len(admin.get(DECISIONS).context["cl"].result_list) == 1
    for face in faces[1:8]:
        people.confirm_faces(person=ada, face_ids=[face.pk], by=factories.make_user())
    with CaptureQueriesContext(connection) as many:
        assert len(admin.get(page).context["decisions"]) == 8
    with CaptureQueriesContext(connection) as long:
        assert len(admin.get(DECISIONS).context["cl"].result_list) == 8
    assert len(many) == len(few)
    # session, user, dead letters of both ledgers, count, decisions
    assert (len(short), len(long)) == (6, 6)
