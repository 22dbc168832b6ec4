"""Albums in the admin: their order, cover and filter, who made them, and what may be changed of them there."""

from http import HTTPStatus

import factories
import pytest
from admin_clients import DIALOG, ask, cost, found, offered, staff_client
from django.test import Client

from accounts.models import AuditAction, AuditEvent, Library, User
from gallery.models import Album, AlbumPhoto
from gallery.services import albums
from photos.models import Photo

pytestmark = pytest.mark.django_db

ALBUMS = "/admin/gallery/album/"
PHOTOS = "/admin/photos/photo/"


@pytest.fixture
def library() -> Library:
    return factories.make_library()


@pytest.fixture
def editor(library: Library) -> User:
    return factories.make_member(library, "editor")


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(factories.make_user(is_staff=True, is_superuser=True))
    return client


def make_album(library: Library, by: User, *photos: Photo, **values: object) -> Album:
    album = albums.create_album(library=library, by=by, values={"title": "An album", **values})
    if photos:
        albums.add_photos(album=album, by=by, photo_ids=[photo.pk for photo in photos])
    return album


def everything() -> list[object]:
    return [sorted(model.objects.values_list(), key=str) for model in (Album, AlbumPhoto)]


def test_a_manual_album_shows_its_photos_in_order_and_its_cover(admin: Client, library: Library, editor: User) -> None:
    one, two, three = (factories.make_photo(library, original_filename=f"{name}.jpg") for name in "abc")
    album = make_album(library, editor, three, one, two)
    page = admin.get(f"{ALBUMS}{album.pk}/change/")
    text = page.content.decode()
    assert [photo for photo, _picture in page.context["pictures"]] == [three, one, two]
    assert "c.jpg" in text
    assert "the first photo" in text
    assert editor.email in text
    assert "filter" not in {name for fieldset in page.context["adminform"] for name in fieldset.fields}
    albums.change_album(album=album, by=editor, values={"cover": two.pk})
    text = admin.get(f"{ALBUMS}{album.pk}/change/").content.decode()
    assert "b.jpg" in text
    assert "chosen" in text
    assert set(found(admin, f"{PHOTOS}?albums__id__exact={album.pk}")) == {one, two, three}
    shown = admin.get(f"{PHOTOS}{one.pk}/change/").content.decode()
    assert f'href="{ALBUMS}{album.pk}/change/"' in shown
    assert found(admin, f"{ALBUMS}?photo={one.pk}") == [album]


def test_a_smart_album_shows_its_filter_in_words_and_what_it_finds(
    admin: Client, library: Library, editor: User
) -> None:
    ada = factories.make_person(library, name="Ada Lovelace")
    hers, other = factories.make_photo(library), factories.make_photo(library)
    factories.make_face(hers, person=ada)
    album = make_album(library, editor, filter={"person": [str(ada.pk)], "has_gps": False, "faces_min": 1})
    page = admin.get(f"{ALBUMS}{album.pk}/change/")
    assert [photo for photo, _picture in page.context["pictures"]] == [hers]
    text = " ".join(page.content.decode().split())
    for line in (
        "<dt>person</dt><dd>Ada Lovelace</dd>", "<dt>has gps</dt><dd>no</dd>", "<dt>faces min</dt><dd>1</dd>",
    ):  # fmt: skip
        assert line in text
    assert found(admin, f"{PHOTOS}?albums__id__exact={album.pk}") == [hers]
    assert found(admin, f"{PHOTOS}?albums__id__exact={album.pk}&state=attention") == []
    assert "as its filter finds" in admin.get(ALBUMS).content.decode()
    assert other not in found(admin, f"{PHOTOS}?albums__id__exact={album.pk}")


def test_a_filter_of_a_release_to_come_finds_nothing_and_breaks_no_page(
    admin: Client, library: Library, editor: User
) -> None:
    factories.make_photo(library)
    album = make_album(library, editor, filter={"rating_min": 3})
    Album.objects.filter(pk=album.pk).update(filter={"of_tomorrow": 1, "rating_min": "many"})
    page = admin.get(f"{ALBUMS}{album.pk}/change/")
    assert (page.status_code, page.context["pictures"]) == (HTTPStatus.OK, [])
    assert "of tomorrow" in page.content.decode()
    assert found(admin, f"{PHOTOS}?albums__id__exact={album.pk}") == []


def test_albums_are_found_by_title_kind_and_library(admin: Client, library: Library, editor: User) -> None:
    manual = make_album(library, editor, title="Summer")
    smart = make_album(library, editor, title="Winter", filter={"rating_min": 3})
    assert found(admin, ALBUMS) == [smart, manual]
    assert found(admin, f"{ALBUMS}?q=summ") == [manual]
    assert found(admin, f"{ALBUMS}?kind=smart&library__id__exact={library.pk}") == [smart]
    assert found(admin, f"{ALBUMS}?library__id__exact={factories.make_library().pk}") == []


def test_albums_cost_the_same_queries_however_many_they_are(admin: Client, library: Library, editor: User) -> None:
    def make(count: int) -> None:
        for _ in range(count):
            photo = factories.make_photo(library)
            factories.make_rendition(photo, "thumb_300")
            make_album(library, editor, photo)

    make(3)
    admin.get(ALBUMS)
    few = cost(admin, ALBUMS, rows=3)
    make(27)
    many = cost(admin, ALBUMS, rows=30)
    # session, user, dead letters of both ledgers, four times libraries being erased, count, albums, covers, renditions
    assert (few, many) == (12, 12)


def test_title_and_description_are_changed_by_the_service(admin: Client, library: Library, editor: User) -> None:
    album = make_album(library, editor, title="Summer")
    page = f"{ALBUMS}{album.pk}/change/"
    assert admin.post(page, {"title": "Winter", "description": "Cold."}).status_code == HTTPStatus.FOUND
    album.refresh_from_db()
    assert (album.title, album.description, album.created_by) == ("Winter", "Cold.", editor)
    refused = admin.post(page, {"title": "", "description": "Cold."})
    assert list(refused.context["adminform"].form.errors) == ["title"]
    album.refresh_from_db()
    assert album.title == "Winter"
    assert AuditEvent.objects.get(action=AuditAction.ADMIN_CHANGED).subject_id == str(album.pk)


def test_an_album_is_deleted_and_its_photos_stay(admin: Client, library: Library, editor: User) -> None:
    photo = factories.make_photo(library)
    album = make_album(library, editor, photo)
    assert ask(admin, f"{ALBUMS}{album.pk}/remove/") == ["The album is deleted."]
    assert (Album.objects.count(), Photo.objects.get()) == (0, photo)


def test_who_may_not_edit_photos_changes_no_album(library: Library, editor: User) -> None:
    hidden = factories.make_photo(library, is_hidden=True)
    album = make_album(library, factories.make_member(library, "admin"), factories.make_photo(library), hidden)
    client = staff_client(library, "visitor")
    before = everything()
    page = client.get(f"{ALBUMS}{album.pk}/change/")
    assert len(page.context["pictures"]) == 1
    assert offered(client, f"{ALBUMS}{album.pk}/change/") == set()
    changed = client.post(f"{ALBUMS}{album.pk}/change/", {"title": "Mine", "description": ""})
    removed = client.post(f"{ALBUMS}{album.pk}/remove/", DIALOG)
    assert (changed.status_code, removed.status_code) == (HTTPStatus.FORBIDDEN, HTTPStatus.FORBIDDEN)
    foreign = staff_client(factories.make_library(), "admin")
    assert foreign.post(f"{ALBUMS}{album.pk}/remove/", DIALOG).status_code == HTTPStatus.NOT_FOUND
    assert everything() == before
