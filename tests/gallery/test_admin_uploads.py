"""Uploads in the admin: who sees which, what is said of each, and the end of those that hang."""

from datetime import timedelta
from typing import Any

import factories
import pytest
from dead_letter_rows import staff
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import Library
from processing.models import Upload, UploadState

pytestmark = pytest.mark.django_db

LIST = "/admin/processing/upload/"


@pytest.fixture
def library() -> Library:
    return factories.make_library(name="Archive")


def make_upload(library: Library, **values: Any) -> Upload:
    owner = values.pop("owner", None) or factories.make_member(library, "editor")
    given = {"filename": "holiday.jpg", "length": 4_000_000, "offset": 1_000_000, "way": "tus"}
    return Upload.objects.create(
        library=library, owner=owner, expires_at=Now() + timedelta(hours=1), **{**given, **values}
    )


def cells(client: Client, query: str = "") -> str:
    return client.get(f"{LIST}{query}").content.decode()


def test_staff_see_the_uploads_of_libraries_where_they_see_processing(client: Client, library: Library) -> None:
    upload = make_upload(library)
    foreign = make_upload(factories.make_library(), filename="foreign.jpg")
    client.force_login(staff(library, "editor", "view_upload"))
    shown = cells(client)
    assert "holiday.jpg" in shown
    assert upload.owner.email in shown
    assert "25\xa0% of\xa03.8\xa0MB" in shown
    assert "foreign.jpg" not in shown
    assert client.get(f"{LIST}{foreign.pk}/change/").status_code == 302
    assert "holiday.jpg" in client.get(f"{LIST}{upload.pk}/change/").content.decode()
    client.force_login(staff(library, "visitor", "view_upload"))
    assert "holiday.jpg" not in cells(client)


def test_a_page_says_what_went_wrong(client: Client, library: Library) -> None:
    client.force_login(factories.make_user(is_staff=True, is_superuser=True))
    refused = make_upload(
        library, state=UploadState.REFUSED, error_code="unsupported_format", error_detail="not a JPEG"
    )
    page = client.get(f"{LIST}{refused.pk}/change/").content.decode()
    assert "unsupported_format" in page
    assert "not a JPEG" in page
    photo = factories.make_photo(library)
    done = make_upload(library, state=UploadState.COMPLETE, photo=photo, offset=4_000_000)
    page = client.get(f"{LIST}{done.pk}/change/").content.decode()
    assert f"/admin/photos/photo/{photo.pk}/change/" in page


def test_chosen_uploads_are_ended_and_others_stay(client: Client, library: Library) -> None:
    hanging = make_upload(library)
    refused = make_upload(library, state=UploadState.REFUSED, error_code="damaged")
    foreign = make_upload(factories.make_library())
    body = {"action": "end_chosen", "_selected_action": [str(one.pk) for one in (hanging, refused, foreign)]}
    client.force_login(staff(library, "editor", "view_upload"))
    client.post(LIST, body, follow=True)  # seeing is not ending
    assert set(Upload.objects.filter(state=UploadState.OPEN)) == {hanging, foreign}

    client.force_login(staff(library, "editor", "view_upload", "change_upload"))
    response = client.post(LIST, body, follow=True)

    assert "1 upload is ended." in response.content.decode()
    assert list(Upload.objects.filter(state=UploadState.ENDED)) == [hanging]
    assert "None of these is open, or yours to end." in client.post(LIST, body, follow=True).content.decode()
    assert Upload.objects.get(pk=foreign.pk).state == UploadState.OPEN


def test_nobody_makes_changes_or_deletes_uploads_here(client: Client, library: Library) -> None:
    upload = make_upload(library)
    client.force_login(factories.make_user(is_staff=True, is_superuser=True))
    assert client.get(f"{LIST}add/").status_code == 403
    assert client.post(f"{LIST}{upload.pk}/change/", {"filename": "x"}).status_code == 403
    assert client.post(f"{LIST}{upload.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Upload.objects.get().filename == "holiday.jpg"


def test_the_list_is_filtered_and_costs_the_same_for_many(client: Client, library: Library) -> None:
    client.force_login(factories.make_user(is_staff=True, is_superuser=True))
    upload = make_upload(library)
    refused = make_upload(library, state=UploadState.REFUSED, error_code="damaged")
    assert list(client.get(f"{LIST}?state__exact=refused").context["cl"].result_list) == [refused]
    assert list(client.get(f"{LIST}?state__exact=open").context["cl"].result_list) == [upload]
    counts = []
    for more in (0, 10):
        for _ in range(more):
            make_upload(library)
        with CaptureQueriesContext(connection) as queries:
            assert client.get(LIST).context["cl"].result_count == 2 + more
        counts.append(len(queries))
    assert counts[0] == counts[1]
