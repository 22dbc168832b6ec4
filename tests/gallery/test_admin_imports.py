"""Imports in the admin: watched, held up, ended and repeated by superusers."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import factories
import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from pytest_django import Settings

from accounts.models import Library, User
from config.settings.storage import source_storages
from processing.models import Import
from processing.pipeline import library_work
from processing.services import imports

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("photo_store")]

LIST = "/admin/processing/import/"
SUBMITTED = {"_form_submitted": "True"}


@pytest.fixture
def library(db: None) -> Library:
    return factories.make_library(name="Holidays")


@pytest.fixture
def operator(settings: Settings) -> User:
    settings.STAFF_SECOND_FACTOR = False
    return factories.make_user(is_superuser=True, is_staff=True)


@pytest.fixture
def admin(operator: User) -> Client:
    client = Client()
    client.force_login(operator)
    return client


@pytest.fixture
def made(settings: Settings, tmp_path: Path, library: Library, operator: User) -> Import:
    """An import of a folder with a photo and a broken file, which has not begun."""
    folder = tmp_path / "cards"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(factories.image_bytes())
    (folder / "<b>.jpg").write_bytes(b"broken")
    settings.STORAGES = {**settings.STORAGES, **source_storages({"cards": str(folder)})}
    return imports.start(library_id=library.pk, source="cards", by=operator)


def work() -> None:
    library_work.work(kind="import", task_id=str(uuid4()), worker="worker@test")


def page(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return response.content.decode()


def act(client: Client, one: Import, verb: str) -> Any:
    return client.post(f"{LIST}{one.pk}/{verb}/", SUBMITTED)


def test_a_list_and_a_page_tell_how_far_it_is(admin: Client, made: Import) -> None:
    assert "counting" in page(admin, LIST)
    work()
    for text in (page(admin, LIST), page(admin, f"{LIST}{made.pk}/change/")):
        assert "added 1 · refused 1" in text
        assert "2 / 2" in text
        assert "finished" in text
    told = page(admin, f"{LIST}{made.pk}/change/")
    assert "unsupported_format 1" in told
    assert "&lt;b&gt;.jpg" in told
    assert "<b>.jpg" not in told
    assert 'href="/admin/processing/import/"' in page(admin, "/admin/")


def test_what_may_be_done_is_offered_and_done(admin: Client, made: Import) -> None:
    def offered() -> set[str]:
        text = page(admin, f"{LIST}{made.pk}/change/")
        return {verb for verb in ("pause", "resume", "cancel", "rescan") if f"{LIST}{made.pk}/{verb}/" in text}

    assert offered() == {"pause", "cancel"}
    act(admin, made, "pause")
    assert offered() == {"resume", "cancel"}
    act(admin, made, "resume")
    work()
    made.refresh_from_db()
    assert made.state == "finished"
    assert offered() == {"rescan"}
    response = act(admin, made, "rescan")
    again = Import.objects.exclude(pk=made.pk).get()
    assert response["HX-Redirect"] == f"{LIST}{again.pk}/change/"
    act(admin, again, "cancel")
    again.refresh_from_db()
    assert again.state == "cancelled"


def test_what_cannot_be_done_is_said(admin: Client, made: Import) -> None:
    work()
    act(admin, made, "pause")
    assert "The import has ended." in page(admin, LIST)
    act(admin, made, "cancel")
    assert "The import is finished." in page(admin, LIST)
    imports.rescan(import_id=made.pk, by=factories.make_user(is_superuser=True))
    act(admin, made, "rescan")
    assert "has not ended" in page(admin, LIST)
    assert Import.objects.count() == 2


def test_staff_that_do_not_run_the_installation_see_none(settings: Settings, made: Import, library: Library) -> None:
    settings.STAFF_SECOND_FACTOR = False
    staff = factories.make_member(library, "admin")
    User.objects.filter(pk=staff.pk).update(is_staff=True)
    staff.user_permissions.set(Permission.objects.all())
    client = Client()
    client.force_login(User.objects.get(pk=staff.pk))
    assert client.get(LIST).status_code == 403
    assert client.get(f"{LIST}{made.pk}/change/").status_code in {302, 403}
    for verb in ("pause", "resume", "cancel", "rescan"):
        assert act(client, made, verb).status_code in {302, 403, 404}
    made.refresh_from_db()
    assert (made.state, Import.objects.count()) == ("running", 1)
    assert "/admin/processing/import/" not in page(client, "/admin/")
