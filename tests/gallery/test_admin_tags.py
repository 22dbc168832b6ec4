"""Tags in the admin: counted, found, renamed, merged and deleted through their service."""

from http import HTTPStatus

import factories
import pytest
from admin_clients import DIALOG, ask, cost, found, messages_of, offered, staff_client
from django.test import Client
from django.utils import timezone

from accounts.models import AuditAction, AuditEvent, Library
from gallery.admin import counts
from photos.models import Photo, PhotoTag, Tag, TagAlias
from photos.services import tags

pytestmark = pytest.mark.django_db

TAGS = "/admin/photos/tag/"


@pytest.fixture
def library() -> Library:
    return factories.make_library()


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(factories.make_user(is_staff=True, is_superuser=True))
    return client


def everything() -> list[object]:
    rows = (Tag, PhotoTag, TagAlias)
    return [sorted(model.objects.values_list(), key=str) for model in rows] + [
        sorted(Photo.objects.values_list("pk", "tag_names"), key=str)
    ]


def choose(client: Client, action: str, *chosen: Tag, **also: str) -> object:
    return client.post(TAGS, {"action": action, "_selected_action": [str(one.pk) for one in chosen], **also})


def test_tags_are_listed_with_the_number_of_their_photos_and_found(admin: Client, library: Library) -> None:
    photos = [factories.make_photo(library) for _ in range(3)]
    summer, winter = factories.make_tag(library, "Summer", *photos), factories.make_tag(library, "Winter", photos[0])
    tags.take_off(photo_ids=[photos[1].pk], tags=[summer])
    Photo.objects.filter(pk=photos[2].pk).update(trashed_at=timezone.now())
    elsewhere = factories.make_tag(factories.make_library(), "Summer")
    gone = factories.make_tag(library, "Gone")
    tags.delete(tag=gone)

    assert {tag.pk: tag.photo_count for tag in found(admin, TAGS)} == {summer.pk: 1, winter.pk: 1, elsewhere.pk: 0}
    assert found(admin, f"{TAGS}?q=win") == [winter]
    assert found(admin, f"{TAGS}?library__id__exact={library.pk}") == [winter, summer]
    assert found(admin, f"{TAGS}?photo={photos[0].pk}") == [winter, summer]
    # taken off
    assert found(admin, f"{TAGS}?photo={photos[1].pk}") == []
    page = admin.get(f"{TAGS}{summer.pk}/change/")
    assert [photo.pk for photo, _picture in page.context["pictures"]] == [photos[0].pk]
    assert f"/admin/photos/photo/?tags__id__exact={summer.pk}" in page.content.decode()
    assert found(admin, f"/admin/photos/photo/?tags__id__exact={summer.pk}") == [photos[0]]
    shown = admin.get(f"/admin/photos/photo/{photos[0].pk}/change/").content.decode()
    assert f'href="{TAGS}{summer.pk}/change/"' in shown


def test_very_many_photos_are_counted_no_further_than_is_cheap(
    admin: Client, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "COUNTED_AT_MOST", 2)
    factories.make_tag(library, "Summer", *(factories.make_photo(library) for _ in range(5)))
    [tag] = found(admin, TAGS)
    assert tag.photo_count == 3
    assert ">2+</a>" in admin.get(TAGS).content.decode()


def test_tags_cost_the_same_queries_however_many_they_are(admin: Client, library: Library) -> None:
    def make(count: int) -> None:
        for number in range(count):
            factories.make_tag(library, f"tag {Tag.objects.count()} {number}", factories.make_photo(library))

    make(3)
    admin.get(TAGS)
    few = cost(admin, TAGS, rows=3)
    make(27)
    # session, user, dead letters of both ledgers, libraries being erased, count, tags
    assert (few, cost(admin, TAGS, rows=30)) == (7, 7)


def test_a_tag_is_renamed_and_files_mean_it_still(admin: Client, library: Library) -> None:
    photo = factories.make_photo(library)
    tag = factories.make_tag(library, "Sumer", photo)
    page = f"{TAGS}{tag.pk}/change/"
    assert admin.post(page, {"name": "  Summer "}).status_code == HTTPStatus.FOUND
    tag.refresh_from_db()
    photo.refresh_from_db()
    assert (tag.name, tag.key, photo.tag_names) == ("Summer", "summer", "Summer")
    assert "sumer" in admin.get(page).content.decode()
    told = AuditEvent.objects.get(action=AuditAction.ADMIN_CHANGED)
    assert (told.subject_id, told.library_id) == (str(tag.pk), library.pk)


def test_a_name_that_is_taken_or_empty_is_refused(admin: Client, library: Library) -> None:
    tag, _ = factories.make_tag(library, "Summer"), factories.make_tag(library, "Winter")
    before = everything()
    page = f"{TAGS}{tag.pk}/change/"
    taken = admin.post(page, {"name": "WINTER"}, follow=True)
    assert "Another tag has this name. Merge the two, if they mean the same." in messages_of(taken)
    for name in ("", "   ", "\u200b", "x" * 256):
        response = admin.post(page, {"name": name})
        assert (response.status_code, list(response.context["adminform"].form.errors)) == (HTTPStatus.OK, ["name"])
    assert everything() == before


def test_tags_are_merged_into_one_of_them_or_another(admin: Client, library: Library) -> None:
    one, two = factories.make_photo(library), factories.make_photo(library)
    summer, sommer, hot = (
        factories.make_tag(library, "Summer", one),
        factories.make_tag(library, "Sommer", two),
        factories.make_tag(library, "Hot", one, two),
    )
    before = everything()
    asked = choose(admin, "merge_chosen", summer, sommer)
    text = " ".join(asked.content.decode().split())
    assert "Merge 2 tags" in text
    assert "> Merge </button>" in text
    assert f"of_library={library.pk}" in asked.content.decode()
    assert everything() == before

    done = admin.post(
        TAGS,
        {"action": "merge_chosen", "_selected_action": [str(summer.pk), str(sommer.pk)], "into": str(summer.pk)},
        follow=True,
    )

    assert messages_of(done) == ["Summer is on 2 photos now."]
    assert {tag.name for tag in Tag.objects.all()} == {"Summer", "Hot"}
    assert choose(admin, "merge_chosen", summer, into=str(hot.pk)).status_code == HTTPStatus.FOUND
    assert [tag.name for tag in Tag.objects.all()] == ["Hot"]
    assert set(TagAlias.objects.values_list("key", "tag")) == {("summer", hot.pk), ("sommer", hot.pk)}


def test_what_cannot_be_merged_stays(admin: Client, library: Library) -> None:
    summer, winter = factories.make_tag(library, "Summer"), factories.make_tag(library, "Winter")
    elsewhere = factories.make_tag(factories.make_library(), "Elsewhere")
    before = everything()
    for into in ("", "x", str(elsewhere.pk)):
        again = choose(admin, "merge_chosen", summer, winter, into=into)
        assert again.status_code == HTTPStatus.OK
        assert again.context["form"].errors
    alone = choose(admin, "merge_chosen", summer, into=str(summer.pk))
    across = choose(admin, "merge_chosen", summer, elsewhere, into=str(summer.pk))
    assert (alone.status_code, across.status_code) == (HTTPStatus.FOUND, HTTPStatus.FOUND)
    assert messages_of(admin.get(TAGS)) == [
        "Choose a tag that is merged, beside the one that stays.", "Tags of different libraries are not merged.",
    ]  # fmt: skip
    assert everything() == before
    assert not AuditEvent.objects.filter(action=AuditAction.ADMIN_CHANGED).exists()


def test_tags_are_deleted_after_a_question(admin: Client, library: Library) -> None:
    photo = factories.make_photo(library)
    summer, winter, hot = (factories.make_tag(library, name, photo) for name in ("Summer", "Winter", "Hot"))
    before = everything()
    assert "Delete 2 tags?" in choose(admin, "delete_chosen", summer, winter).content.decode()
    assert everything() == before
    assert choose(admin, "delete_chosen", summer, winter, sure="yes").status_code == HTTPStatus.FOUND
    assert messages_of(admin.get(TAGS)) == ["2 tags are deleted.", "They were on 2 photos."]
    assert ask(admin, f"{TAGS}{hot.pk}/remove/") == ["1 tag is deleted.", "It was on 1 photo."]
    assert Tag.objects.filter(is_removed=True).count() == 3
    photo.refresh_from_db()
    assert (photo.tag_names, PhotoTag.objects.count()) == ("", 0)


def test_who_may_not_edit_photos_changes_no_tag(library: Library) -> None:
    tag, other = factories.make_tag(library, "Summer", factories.make_photo(library)), factories.make_tag(library, "B")
    client = staff_client(library, "visitor")
    before = everything()
    assert found(client, TAGS) == [other, tag]
    assert offered(client, f"{TAGS}{tag.pk}/change/") == set()
    assert client.post(f"{TAGS}{tag.pk}/change/", {"name": "Winter"}).status_code == HTTPStatus.FORBIDDEN
    assert client.post(f"{TAGS}{tag.pk}/remove/", DIALOG).status_code == HTTPStatus.FORBIDDEN
    for action in ("merge_chosen", "delete_chosen"):
        choose(client, action, tag, sure="yes", into=str(other.pk))
    assert messages_of(client.get(TAGS)) == ["Your role does not allow it in each of their libraries."] * 2
    foreign = staff_client(factories.make_library(), "admin")
    choose(foreign, "delete_chosen", tag, sure="yes")
    assert foreign.post(f"{TAGS}{tag.pk}/remove/", DIALOG).status_code == HTTPStatus.NOT_FOUND
    assert everything() == before
