"""What all pages of the admin say in one way: lists without rows, and dialogs that ask before an action."""

import factories
import pytest
from django.test import Client
from django.utils import timezone

from accounts import consent_text

RED = "bg-red-600"

pytestmark = pytest.mark.django_db


def text_of(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


@pytest.mark.parametrize(
    ("address", "is_added_to"), [("/admin/photos/photo/", False), ("/admin/accounts/library/", True)]
)
def test_an_empty_list_says_so_and_offers_what_there_is(admin_client: Client, address: str, is_added_to: bool) -> None:
    page = text_of(admin_client, address)
    assert "There is nothing here yet" in page
    assert "Reset filters" not in page
    assert (f'href="{address}add/"' in page) == is_added_to
    found = text_of(admin_client, f"{address}?q=nothing")
    assert "Nothing was found" in found
    assert "There is nothing here yet" not in found
    assert '<a href="?"' in found
    assert "Create a new item" not in page + found


def test_the_text_that_is_agreed_to_is_shown_in_its_paragraphs(admin_client: Client) -> None:
    library = factories.make_library(**factories.FACES_OFF)
    page = admin_client.get(f"/admin/accounts/library/{library.pk}/switch_on/").content.decode()
    paragraphs = consent_text.TEXT.split("\n")
    assert len(paragraphs) == 3
    for one in paragraphs:
        assert f'<p class="leading-relaxed">{one}</p>' in page


def test_what_cannot_be_undone_has_a_red_button(admin_client: Client) -> None:
    library = factories.make_library()
    person, user = factories.make_person(library), factories.make_user()
    photo = factories.make_photo(library, trashed_at=timezone.now())
    pages = [
        *(f"accounts/library/{library.pk}/{one}" for one in ("forget", "forget_faces", "switch_off")),
        f"photos/person/{person.pk}/forget",
        f"photos/photo/{photo.pk}/purge_photo",
        f"accounts/user/{user.pk}/reset_second_factor",
    ]
    for page in pages:
        assert RED in text_of(admin_client, f"/admin/{page}/"), page
    for page in (f"photos/photo/{photo.pk}/restore_photo", f"accounts/user/{user.pk}/deactivate"):
        assert RED not in text_of(admin_client, f"/admin/{page}/"), page
