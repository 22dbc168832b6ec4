"""Libraries in the admin: names, members, and the switch of face analysis."""

from http import HTTPStatus

import factories
import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import consent_text
from accounts.models import ConsentRecord, ErasureKind, ErasureReceipt, Library, Membership, Role, User
from accounts.services import erasure
from photos.models import Photo
from processing.models import ModelSelection, RunState, StageRun
from processing.pipeline import library_work
from processing.services.face_analysis import switch_face_analysis

pytestmark = pytest.mark.django_db

LIBRARIES = "/admin/accounts/library/"
SUBMITTED = {"_form_submitted": "True"}
# what is only shown has a form too
NO_CONSENT = {"consent_records-TOTAL_FORMS": 0, "consent_records-INITIAL_FORMS": 0}


@pytest.fixture
def operator() -> User:
    return factories.make_user(is_staff=True, is_superuser=True)


@pytest.fixture
def admin(client: Client, operator: User) -> Client:
    client.force_login(operator)
    return client


def members_form(*rows: dict[str, object], initial: int = 0) -> dict[str, object]:
    form: dict[str, object] = {"memberships-TOTAL_FORMS": len(rows), "memberships-INITIAL_FORMS": initial}
    form |= NO_CONSENT
    for number, row in enumerate(rows):
        form |= {f"memberships-{number}-{name}": value for name, value in row.items()}
    return form


def test_a_library_is_made_with_its_maker_as_admin(admin: Client, operator: User) -> None:
    assert admin.get(f"{LIBRARIES}add/").status_code == HTTPStatus.OK
    response = admin.post(f"{LIBRARIES}add/", {"name": "Archive"})
    assert (response.status_code, response["Location"]) == (HTTPStatus.FOUND, LIBRARIES)
    library = Library.objects.get(name="Archive")
    assert [(one.user, one.role.name) for one in library.memberships.all()] == [(operator, "admin")]
    again = admin.post(f"{LIBRARIES}add/", {"name": "Archive"})
    assert again.status_code == HTTPStatus.OK
    assert Library.objects.count() == 1


def test_a_library_is_renamed_and_keeps_its_switch(admin: Client) -> None:
    library = factories.make_library(name="Old", **factories.FACES_OFF)
    form = {"name": "New", "face_analysis": "on", **members_form()}
    assert admin.post(f"{LIBRARIES}{library.pk}/change/", form).status_code == HTTPStatus.FOUND
    library.refresh_from_db()
    assert (library.name, library.face_analysis) == ("New", False)


def test_members_are_added_and_removed(admin: Client) -> None:
    library = factories.make_library()
    member = factories.make_member(library, "visitor")
    membership = Membership.objects.get(user=member)
    newcomer = factories.make_user()
    old = {"id": membership.pk, "library": library.pk, "user": member.pk, "role": membership.role_id, "DELETE": "on"}
    new = {"library": library.pk, "user": newcomer.pk, "role": membership.role_id}
    form = {"name": library.name, **members_form(old, new, initial=1)}
    assert admin.post(f"{LIBRARIES}{library.pk}/change/", form).status_code == HTTPStatus.FOUND
    assert [one.user for one in library.memberships.all()] == [newcomer]


def test_a_library_is_not_deleted(admin: Client) -> None:
    library = factories.make_library()
    assert admin.post(f"{LIBRARIES}{library.pk}/delete/", {"post": "yes"}).status_code == HTTPStatus.FORBIDDEN
    assert Library.objects.filter(pk=library.pk).exists()


def test_face_analysis_is_switched_with_consent(admin: Client, operator: User) -> None:
    library = factories.make_library(**factories.FACES_OFF)
    ModelSelection.objects.create(task="face_detection", model="mtcnn", weights_hash="ab" * 32, in_use=True)
    photo = factories.make_photo(library)
    page = f"{LIBRARIES}{library.pk}/"
    dialog = admin.get(f"{page}switch_on/").content.decode()
    assert "biometric data" in dialog
    library.refresh_from_db()
    assert not library.face_analysis
    assert "of each face Darkroom keeps a small picture" in dialog
    for unread in ({}, {"consent_version": ""}):
        admin.post(f"{page}switch_on/", SUBMITTED | unread)
        library.refresh_from_db()
        assert not library.face_analysis
    stale = admin.post(f"{page}switch_on/", SUBMITTED | {"consent_version": "1999-01"})
    library.refresh_from_db()
    assert (stale["HX-Refresh"], library.face_analysis) == ("true", False)
    agreed = SUBMITTED | {"consent_version": consent_text.VERSION}
    assert agreed["consent_version"] in dialog
    assert admin.post(f"{page}switch_on/", agreed)["HX-Refresh"] == "true"
    library.refresh_from_db()
    assert (library.face_analysis, library.face_analysis_changed_by) == (True, operator)
    assert library.face_analysis_changed_at is not None
    assert library_work.work(kind="plan", task_id="t", worker="w") == 1
    run = StageRun.objects.get(photo=photo, stage="face_detection")
    assert run.state == RunState.WAITING
    factories.make_face(photo, person=factories.make_person(library, name="Ada"))
    assert ">Done · of 1 · runs 4 · photos 1</a>" in admin.get(f"{page}change/").content.decode()
    offered = [action["path"] for action in admin.get(f"{page}change/").context["actions_detail"]]
    assert offered == [f"{page}invite/", f"{page}switch_off/", f"{page}forget_faces/", f"{page}forget/"]
    assert admin.post(f"{page}switch_off/", SUBMITTED)["HX-Refresh"] == "true"
    library.refresh_from_db()
    run.refresh_from_db()
    assert (library.face_analysis, run.state, run.skip_reason) == (False, RunState.SKIPPED, "face_analysis_off")
    assert ">Pending</a>" in admin.get(f"{page}change/").content.decode()
    assert library_work.work(kind="erase_faces", task_id="t", worker="w") == 1
    receipt = ">Done · faces 1 · people 1 · photos 1 · embeddings 0</a>"
    assert receipt in admin.get(f"{page}change/").content.decode()


def turns(library: Library, by: User | None, count: int) -> list[ConsentRecord]:
    """Turn the switch so often; gives all turns, newest first."""
    for _ in range(count):
        library = switch_face_analysis(library=library, enabled=not library.face_analysis, by=by)
    return list(library.consent_records.order_by("-id"))


def shown_turns(client: Client, library: Library) -> list[ConsentRecord] | None:
    """Give the turns that a library's page shows, or nothing if it has no place for them."""
    response = client.get(f"{LIBRARIES}{library.pk}/change/")
    assert response.status_code == HTTPStatus.OK
    shown = {one.formset.prefix: one.formset for one in response.context["inline_admin_formsets"]}
    formset = shown.get("consent_records")
    return None if formset is None else [form.instance for form in formset.forms]


def test_the_last_turns_of_the_switch_are_shown_and_no_more(admin: Client, operator: User) -> None:
    library, other = (factories.make_library(**factories.FACES_OFF) for _ in range(2))
    turns(other, None, 1)
    assert shown_turns(admin, library) == []
    turns(library, operator, 3)
    with CaptureQueriesContext(connection) as of_few:
        shown_turns(admin, library)
    library.refresh_from_db()
    made = turns(library, operator, 18)
    with CaptureQueriesContext(connection) as of_many:
        shown_turns(admin, library)
    assert len(of_many) == len(of_few)
    assert shown_turns(admin, library) == made[:20]
    page = admin.get(f"{LIBRARIES}{library.pk}/change/").content.decode()
    assert (str(made[19].pk) in page, str(made[20].pk) in page) == (True, False)
    assert f">{consent_text.VERSION}<" in "".join(page.split())


def test_turns_are_not_written_by_hand(admin: Client, operator: User) -> None:
    library = factories.make_library(**factories.FACES_OFF)
    [turn] = turns(library, operator, 1)
    before = list(ConsentRecord.objects.values())
    forged = {"library": library.pk, "enabled": "", "by": "", "text_version": "1999-01"}
    for initial, row in ((1, forged | {"id": turn.pk}), (1, {"id": turn.pk, "DELETE": "on"}), (0, forged)):
        form = {"name": library.name, **members_form()}
        form |= {"consent_records-TOTAL_FORMS": 1, "consent_records-INITIAL_FORMS": initial}
        form |= {f"consent_records-0-{name}": value for name, value in row.items()}
        assert admin.post(f"{LIBRARIES}{library.pk}/change/", form).status_code == HTTPStatus.FOUND
        assert list(ConsentRecord.objects.values()) == before


def test_turns_are_shown_to_staff_who_may_turn(client: Client) -> None:
    library = factories.make_library(**factories.FACES_OFF)
    [turn] = turns(library, None, 1)
    for role, wanted, expected in (
        ("admin", ["view_library", "view_consentrecord"], [turn]),
        ("admin", ["view_library"], None),
        ("editor", ["view_library", "view_consentrecord", "change_library"], None),
    ):
        user = factories.make_member(library, role)
        User.objects.filter(pk=user.pk).update(is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=wanted))
        client.force_login(user)
        assert shown_turns(client, library) == expected, (role, wanted)


def test_a_librarys_page_leads_to_the_form_that_invites(client: Client) -> None:
    library, foreign = (factories.make_library() for _ in range(2))
    permissions = ["view_library", "view_invitation", "add_invitation"]
    for role, wanted, status in (
        ("admin", permissions, HTTPStatus.FOUND),
        ("admin", permissions[:2], HTTPStatus.FORBIDDEN),
        ("editor", permissions, HTTPStatus.FORBIDDEN),
    ):
        user = factories.make_member(library, role)
        User.objects.filter(pk=user.pk).update(is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=wanted))
        client.force_login(user)
        link = f"{LIBRARIES}{library.pk}/invite/"
        is_offered = link in client.get(f"{LIBRARIES}{library.pk}/change/").content.decode()
        response = client.get(link)
        assert (response.status_code, is_offered) == (status, status == HTTPStatus.FOUND), (role, wanted)
        if is_offered:
            assert response["Location"] == f"/admin/accounts/invitation/add/?library={library.pk}"
            page = client.get(response["Location"]).content.decode()
            assert f'<option value="{library.pk}" selected>' in page
        assert client.get(f"{LIBRARIES}{foreign.pk}/invite/").status_code in {HTTPStatus.NOT_FOUND, status}


def test_staff_who_may_only_look_do_not_switch(client: Client) -> None:
    library, foreign = (factories.make_library(**factories.FACES_OFF) for _ in range(2))
    user = factories.make_member(library, "admin")
    user.is_staff = True
    user.save()
    user.user_permissions.set(Permission.objects.filter(codename="view_library"))
    client.force_login(user)
    assert list(client.get(LIBRARIES).context["cl"].result_list) == [library]
    assert client.get(f"{LIBRARIES}{library.pk}/change/").status_code == HTTPStatus.OK
    assert client.get(f"{LIBRARIES}{foreign.pk}/change/").status_code == HTTPStatus.FOUND
    assert client.post(f"{LIBRARIES}{library.pk}/switch_on/", SUBMITTED).status_code == HTTPStatus.FORBIDDEN
    library.refresh_from_db()
    assert not library.face_analysis


def test_a_foreign_library_is_not_switched(client: Client) -> None:
    library, foreign = (factories.make_library(**factories.FACES_OFF) for _ in range(2))
    user = factories.make_member(library, "admin")
    user.is_staff = True
    user.save()
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_library", "change_library"]))
    client.force_login(user)
    assert client.post(f"{LIBRARIES}{foreign.pk}/switch_on/", SUBMITTED).status_code == HTTPStatus.NOT_FOUND
    foreign.refresh_from_db()
    assert not foreign.face_analysis


def test_all_faces_are_forgotten_and_the_receipt_is_listed(admin: Client, operator: User) -> None:
    library = factories.make_library()
    factories.make_face(factories.make_photo(library), person=factories.make_person(library, name="Ada"))
    page = f"{LIBRARIES}{library.pk}/"
    assert "This cannot be undone" in admin.get(f"{page}forget_faces/").content.decode()
    assert ErasureReceipt.objects.count() == 0
    assert admin.post(f"{page}forget_faces/", SUBMITTED)["HX-Refresh"] == "true"
    assert library_work.work(kind="erase_faces", task_id="t", worker="w") == 1
    receipt = ErasureReceipt.objects.get()
    assert (receipt.requested_by, receipt.counts["faces"]) == (operator.pk, 1)
    listed = admin.get("/admin/accounts/erasurereceipt/").content.decode()
    assert "embeddings 0 · faces 1 · people 1 · photos 1" in listed
    assert "Ada" not in listed
    assert admin.get(f"/admin/accounts/erasurereceipt/{receipt.pk}/change/").status_code == HTTPStatus.OK


def test_a_library_is_erased_when_its_name_is_typed(admin: Client) -> None:
    library = factories.make_library(name="Family")
    factories.make_photo(library)
    page = f"{LIBRARIES}{library.pk}/"
    assert "Name of the library" in admin.get(f"{page}forget/").content.decode()
    for typed in ({}, {"name": "family"}):
        admin.post(f"{page}forget/", SUBMITTED | typed)
        library.refresh_from_db()
        assert library.erasure_requested_at is None
    assert admin.post(f"{page}forget/", SUBMITTED | {"name": "Family"})["HX-Redirect"] == LIBRARIES
    assert library_work.work(kind="forget", task_id="t", worker="w") == 1
    assert (Library.objects.count(), Photo.objects.count()) == (0, 0)


def test_staff_erase_what_their_role_allows_and_see_those_receipts(client: Client) -> None:
    library, foreign = (factories.make_library() for _ in range(2))
    user = factories.make_member(library, "editor")
    user.is_staff = True
    user.save()
    wanted = ["view_library", "change_library", "view_person", "change_person", "view_erasurereceipt"]
    user.user_permissions.set(Permission.objects.filter(codename__in=wanted))
    client.force_login(user)
    person = factories.make_person(library)
    for page in (f"{LIBRARIES}{library.pk}/forget", f"{LIBRARIES}{library.pk}/forget_faces"):
        assert client.post(f"{page}/", SUBMITTED | {"name": library.name}).status_code == HTTPStatus.FORBIDDEN
    assert client.post(f"/admin/photos/person/{person.pk}/forget/", SUBMITTED).status_code == HTTPStatus.FORBIDDEN
    assert ErasureReceipt.objects.count() == 0
    for one in (library, foreign):
        erasure.begin(kind=ErasureKind.FACES, subject=one, library_id=one.pk, by=None)
    assert list(client.get("/admin/accounts/erasurereceipt/").context["cl"].result_list) == []
    library.memberships.update(role=Role.objects.get_or_create(name="admin")[0])
    [seen] = client.get("/admin/accounts/erasurereceipt/").context["cl"].result_list
    assert seen.library_id == library.pk
    assert client.post(f"/admin/photos/person/{person.pk}/forget/", SUBMITTED)["HX-Redirect"] == "/admin/photos/person/"
    assert ErasureReceipt.objects.filter(kind="person", subject_id=person.pk, requested_by=user.pk).exists()


def test_a_form_brings_nothing_back_that_was_switched_off_since_it_was_read(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = factories.make_library(name="Archive")
    validate = Library.full_clean

    def switch_meanwhile(self: Library, *given: object, **named: object) -> None:
        asked = {"face_analysis": False, "erasure_requested_at": timezone.now()}
        Library.objects.filter(pk=library.pk).update(**asked)
        validate(self, *given, **named)

    # after the form has read the row
    monkeypatch.setattr(Library, "full_clean", switch_meanwhile)
    form = {"name": "Another", "quota_bytes": "", **members_form()}
    assert admin.post(f"{LIBRARIES}{library.pk}/change/", form).status_code == HTTPStatus.FOUND
    library.refresh_from_db()
    assert (library.name, library.face_analysis) == ("Another", False)
    assert library.erasure_requested_at is not None


def test_a_quota_is_set_by_superusers_alone(admin: Client, client: Client) -> None:
    library = factories.make_library(name="Family")
    form = {"name": "Family", "quota_bytes": "1000", **members_form()}
    assert admin.post(f"{LIBRARIES}{library.pk}/change/", form).status_code == HTTPStatus.FOUND
    library.refresh_from_db()
    assert library.quota_bytes == 1000
    user = factories.make_member(library, "admin")
    user.is_staff = True
    user.save()
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_library", "change_library"]))
    client.force_login(user)
    client.post(f"{LIBRARIES}{library.pk}/change/", form | {"quota_bytes": "5000"})
    library.refresh_from_db()
    assert library.quota_bytes == 1000
