"""Shared links as strangers open them: what they see, what they never learn, and when it ends."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import factories
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings
from shared_links import body, make_shown_photo, share, status

from accounts.models import AuditEvent, Library, Membership, Role, User
from gallery.models import Share
from gallery.services import shares
from gallery.sharing.colours import NEUTRAL, average_colour
from photos.models import Photo
from photos.services import purge, trash

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("photo_store")]

GUESSED = "/s/" + "A" * 43


@pytest.fixture
def library() -> Library:
    return factories.make_library(name="Grandmother's estate")


@pytest.fixture
def sharer(library: Library) -> User:
    return factories.make_member(library, "editor")


@pytest.fixture
def photos(library: Library) -> list[Photo]:
    return [make_shown_photo(library, original_filename=f"holiday-{number}.jpg") for number in range(3)]


@pytest.fixture
def visitor() -> Client:
    return Client()


def test_a_set_is_shown_in_its_order(visitor: Client, sharer: User, photos: list[Photo]) -> None:
    _, link = share(sharer, photos[1], photos[0], photos[2], title="Summer & sea")

    response = visitor.get(link)

    page = response.content.decode()
    assert response.status_code == 200
    assert response["Content-Type"] == "text/html; charset=utf-8"
    assert "<h1>Summer &amp; sea</h1>" in page
    assert "3 photos" in page
    sources = re.findall(r'<img src="([^"]+)"', page)
    assert sources == [f"{link}/{position}/thumb_600" for position in (1, 2, 3)]
    for source, photo in zip(sources, (photos[1], photos[0], photos[2]), strict=True):
        given = visitor.get(source)
        assert given["ETag"] == f'"{photo.renditions.get(kind="thumb_600").sha256}"'
        assert body(given)[:2] == b"\xff\xd8"
    assert 'width="600" height="450"' in page
    assert f"{link}/1/thumb_300 300w, {link}/1/thumb_600 600w, {link}/1/thumb_1200 1200w" in page


def test_what_is_shared_tells_nothing_of_itself(visitor: Client, sharer: User, photos: list[Photo]) -> None:
    for photo in photos:
        taken_at = datetime(2019, 7, 21, 13, 5, tzinfo=UTC)
        factories.make_metadata(
            photo, taken_at=taken_at, camera_make="Leica", camera_model="Q2", latitude=48.13, longitude=11.57
        )
    _, link = share(sharer, *photos)

    answers = [visitor.get(f"{link}{rest}") for rest in ("", "/1", "/2", "/1/thumb_600", "/1/preview")]

    assert [answer.status_code for answer in answers] == [200] * 5
    hidden = ["holiday", "Leica", "Q2", "2019", "48.1", "11.5", "Grandmother", sharer.email, str(sharer.pk)]
    hidden += [str(photo.pk) for photo in photos] + [photo.sha256 for photo in photos]
    hidden += [photo.uploaded_at.strftime("%Y-%m-%d") for photo in photos]
    for answer in answers:
        said = body(answer).decode("latin-1") + str(sorted(answer.items()))
        # the date of the answer itself is no secret, and no header of Django's
        assert [secret for secret in hidden if secret in said] == []
        assert not answer.has_header("Last-Modified")
        assert answer.cookies == {}


def test_metadata_is_shown_where_the_sharer_says_so_and_places_never(
    visitor: Client, sharer: User, photos: list[Photo]
) -> None:
    factories.make_metadata(
        photos[0],
        taken_at=datetime(2019, 7, 21, 13, 5, tzinfo=UTC),
        taken_at_offset=120,
        camera_make="NIKON CORPORATION",
        camera_model="NIKON D750",
        lens="Nikkor 28",
        exposure_time=0.004,
        aperture=1.7,
        iso=200,
        focal_length=28.0,
        latitude=48.13,
        longitude=11.57,
    )
    _, link = share(sharer, *photos, show_metadata=True)

    page = visitor.get(f"{link}/1").content.decode()

    assert "<strong>holiday-0.jpg</strong>" in page
    facts = "21 July 2019, 15:05 · 4000 \u00d7 3000 pixels · NIKON D750 · Nikkor 28 · 1/250 s · f/1.7 · ISO 200 · 28 mm"
    assert facts in page
    assert "48.13" not in page
    assert "11.57" not in page
    assert "4000 \u00d7 3000 pixels</span>" in visitor.get(f"{link}/2").content.decode()


def test_one_photo_fills_the_page(visitor: Client, sharer: User, photos: list[Photo]) -> None:
    _, link = share(sharer, photos[0])
    page = visitor.get(link).content.decode()
    assert re.findall(r'<img src="([^"]+)"', page) == [f"{link}/1/preview"]
    assert "<h1>Shared photos</h1>" in page
    assert "original" not in page


def test_photos_lead_to_one_another(visitor: Client, sharer: User, photos: list[Photo]) -> None:
    _, link = share(sharer, *photos, title="Summer")
    pages = [visitor.get(f"{link}/{position}").content.decode() for position in (1, 2, 3)]
    assert [re.findall(r'rel="(prev|next)" href="([^"]+)"', page) for page in pages] == [
        [("next", f"{link}/2")],
        [("prev", f"{link}/1"), ("next", f"{link}/3")],
        [("prev", f"{link}/2")],
    ]
    assert [f'href="{link}"' in page for page in pages] == [True] * 3
    assert visitor.get(f"{link}/4").status_code == 404


def test_every_answer_is_for_whoever_has_the_link_alone(visitor: Client, sharer: User, photos: list[Photo]) -> None:
    _, link = share(sharer, *photos, allow_originals=True)
    addresses = [link, f"{link}/1", f"{link}/1/preview", f"{link}/1/original", f"{link}/9/preview", GUESSED]
    for address in addresses:
        response = visitor.get(address)
        assert response["Referrer-Policy"] == "no-referrer", address
        assert response["X-Robots-Tag"].startswith("noindex"), address
        assert "default-src 'none'" in response["Content-Security-Policy"], address
        assert response["X-Frame-Options"] == "DENY", address
        assert response["X-Content-Type-Options"] == "nosniff", address
        kept = response.status_code == 200 and address.endswith(("preview", "original"))
        assert response["Cache-Control"] == ("private, no-cache" if kept else "private, no-store"), address
        body(response)


def test_a_page_runs_and_styles_nothing_inline(visitor: Client, sharer: User, photos: list[Photo]) -> None:
    _, link = share(sharer, *photos, allow_originals=True, show_metadata=True)
    _, locked = share(sharer, *photos, password="open sesame")
    for address in (link, f"{link}/1", locked, GUESSED):
        page = visitor.get(address).content.decode()
        assert not re.search(r"<script|<style|\sstyle=|\son\w+=|javascript:", page), address
        assert set(re.findall(r'(?:src|href)="(https?:|//)', page)) == set(), address


# how a link ends


def _expire(made: Share, photos: list[Photo]) -> None:
    past = timezone.now() - timedelta(hours=1)
    Share.objects.filter(pk=made.pk).update(created_at=past - timedelta(hours=1), expires_at=past)


def _lose_permission(made: Share, photos: list[Photo]) -> None:
    Membership.objects.filter(user=made.created_by).update(role=Role.objects.get(name="visitor"))


ENDS: dict[str, Callable[[Share, list[Photo]], object]] = {
    "revoked": lambda made, photos: shares.revoke_shares(share_ids=[made.pk], by=made.created_by),
    "expired": _expire,
    "the sharer is deactivated": lambda made, photos: User.objects.update(is_active=False),
    "the sharer left": lambda made, photos: Membership.objects.all().delete(),
    "the sharer may share no more": _lose_permission,
    "the account is deleted": lambda made, photos: made.created_by.delete(),
    "its photos are in the trash": lambda made, photos: trash.move_to_trash(photo_ids=[one.pk for one in photos]),
    "its photos are deleted": lambda made, photos: purge.purge_photos(
        photo_ids=[one.pk for one in photos if trash.move_to_trash(photo_ids=[one.pk])]
    ),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("password", ["", "open sesame"])
def test_an_ended_link_is_dead_at_once_and_looks_like_a_guessed_one(
    visitor: Client, sharer: User, photos: list[Photo], end: str, password: str
) -> None:
    made, link = share(sharer, *photos, allow_originals=True, password=password)
    if password:
        assert visitor.post(link, {"password": password}).status_code == 303
    rest = ("", "/1", "/1/preview", "/1/original")
    images = {one: visitor.get(link + one) for one in rest}
    assert [response.status_code for response in images.values()] == [200] * 4
    etags = {one: response["ETag"] for one, response in images.items() if response.has_header("ETag")}
    assert sorted(etags) == ["/1/original", "/1/preview"]
    for response in images.values():
        body(response)
    views = Share.objects.get().view_count

    ENDS[end](made, photos)

    guessed = visitor.get(GUESSED)
    assert guessed.status_code == 404
    for one in rest:
        # also for a browser that has the image and asks whether it may go on showing it
        response = visitor.get(link + one, headers={"If-None-Match": etags.get(one, "*")})
        assert response.status_code == 404, one
        assert response.content == guessed.content, one
        assert dict(response.items()) == dict(guessed.items()), one
    assert list(Share.objects.values_list("view_count", flat=True)) in ([views], [])


@pytest.mark.parametrize("state", ["guessed", "revoked", "expired"])
def test_a_dead_link_costs_the_same_one_query(visitor: Client, sharer: User, photos: list[Photo], state: str) -> None:
    made, link = share(sharer, *photos)
    if state != "guessed":
        ENDS[state](made, photos)
    with CaptureQueriesContext(connection) as queries:
        assert visitor.get(GUESSED if state == "guessed" else link).status_code == 404
    assert len(queries) == 1


def test_a_photo_that_goes_leaves_the_others_where_they_were(
    visitor: Client, sharer: User, photos: list[Photo]
) -> None:
    _, link = share(sharer, *photos)
    trash.move_to_trash(photo_ids=[photos[1].pk])
    page = visitor.get(link).content.decode()
    assert re.findall(r'<img src="([^"]+)"', page) == [f"{link}/1/thumb_600", f"{link}/3/thumb_600"]
    assert [status(visitor, f"{link}/2{rest}") for rest in ("", "/preview", "/thumb_300")] == [404] * 3
    assert 'rel="next" href="' + f'{link}/3"' in visitor.get(f"{link}/1").content.decode()
    trash.restore(photo_ids=[photos[1].pk])
    assert status(visitor, f"{link}/2/preview") == 200


def test_a_photo_that_is_not_shared_is_not_there(
    visitor: Client, library: Library, sharer: User, photos: list[Photo]
) -> None:
    _, link = share(sharer, photos[0])
    _, other = share(sharer, photos[1], photos[2])
    for rest in ("/2", "/2/preview", f"/{photos[1].pk}/preview", "/0/preview", "/1/chip", "/1/..", "/" + "9" * 30):
        assert visitor.get(link + rest).status_code == 404, rest
    assert status(visitor, f"{other}/2/preview") == 200


def test_face_chips_are_never_shared(visitor: Client, sharer: User, photos: list[Photo]) -> None:
    face = factories.make_face(photos[0], chip=b"chip")
    _, link = share(sharer, photos[0], allow_originals=True, show_metadata=True)
    name = face.chip_key.rsplit("/", maxsplit=1)[-1]
    assert [status(visitor, f"{link}/1/{rest}") for rest in ("face", "face-chip", name)] == [404] * 3


# originals


def test_an_original_is_given_where_it_is_allowed_and_told_of(
    visitor: Client, sharer: User, photos: list[Photo]
) -> None:
    made, link = share(sharer, photos[0], allow_originals=True)
    assert f'href="{link}/1/original"' in visitor.get(link).content.decode()
    address = f"{link}/1/original"

    response = visitor.get(address)

    assert response["Content-Disposition"] == 'attachment; filename="photo-1.jpeg"'
    assert response["ETag"] == f'"{photos[0].sha256}"'
    data = body(response)
    event = AuditEvent.objects.get(action="original.downloaded")
    assert (event.actor_id, event.library_id, event.subject_id) == (None, made.library_id, str(made.pk))
    assert (event.details, event.address) == ({"photo": str(photos[0].pk)}, "127.0.0.1")
    part = visitor.get(address, headers={"Range": "bytes=10-19"})
    assert (part.status_code, body(part)) == (206, data[10:20])
    assert visitor.get(address, headers={"If-None-Match": response["ETag"]}).status_code == 304
    body(visitor.head(address))
    assert AuditEvent.objects.filter(action="original.downloaded").count() == 1


def test_an_original_keeps_its_name_where_metadata_is_shown(visitor: Client, sharer: User, photos: list[Photo]) -> None:
    _, link = share(sharer, photos[0], allow_originals=True, show_metadata=True)
    response = visitor.get(f"{link}/1/original")
    assert response["Content-Disposition"] == 'attachment; filename="holiday-0.jpg"'
    body(response)


def test_no_original_without_leave(visitor: Client, sharer: User, photos: list[Photo]) -> None:
    made, link = share(sharer, photos[0])
    assert visitor.get(f"{link}/1/original").status_code == 404
    shares.change_share(share_id=made.pk, by=sharer, changes={"allow_originals": True})
    assert status(visitor, f"{link}/1/original") == 200
    # who shares what they may no longer have themselves
    role = Role.objects.create(name="no originals", permissions=["photos.view", "photos.share"])
    Membership.objects.filter(user=sharer).update(role=role)
    assert (status(visitor, f"{link}/1/original"), status(visitor, f"{link}/1/preview")) == (404, 200)
    assert "original" not in visitor.get(link).content.decode()
    assert AuditEvent.objects.filter(action="original.downloaded").count() == 1


# counting and costs


def test_looks_at_the_page_are_counted_and_nothing_else(visitor: Client, sharer: User, photos: list[Photo]) -> None:
    made, link = share(sharer, *photos)
    visitor.get(link)
    visitor.get(link)
    visitor.head(link)
    visitor.get(link, headers={"Sec-Purpose": "prefetch"})
    visitor.get(f"{link}/1")
    status(visitor, f"{link}/1/preview")
    made.refresh_from_db()
    assert made.view_count == 2
    assert made.last_viewed_at is not None


def test_a_page_of_a_hundred_photos_costs_five_queries_and_an_image_three(
    visitor: Client, library: Library, sharer: User, photos: list[Photo]
) -> None:
    many = [factories.make_photo(library) for _ in range(97)]
    for photo in many:
        for kind in ("preview", "thumb_600"):
            factories.make_rendition(photo, kind)
    counts = []
    for shared in (photos, [*photos, *many]):
        _, link = share(sharer, *shared)
        with CaptureQueriesContext(connection) as page:
            assert visitor.get(link).content.count(b"<li>") == len(shared)
        with CaptureQueriesContext(connection) as image:
            assert status(visitor, f"{link}/3/thumb_600") == 200
        counts.append((len(page), len(image)))
    # the share, the sharer's role, the photos, their renditions, the count; the share, the role, the rendition
    assert counts == [(5, 3), (5, 3)]


def test_a_page_of_one_photo_reads_that_one_alone(
    visitor: Client, library: Library, sharer: User, photos: list[Photo]
) -> None:
    many = [make_shown_photo(library) for _ in range(6)]
    read = []
    for shared in (photos, [*photos, *many]):
        _, link = share(sharer, *shared)
        with CaptureQueriesContext(connection) as queries:
            page = visitor.get(f"{link}/2").content.decode()
        assert re.findall(r'rel="(prev|next)" href="([^"]+)"', page) == [("prev", f"{link}/1"), ("next", f"{link}/3")]
        assert f"2 / {len(shared)}" in page
        read.append((len(queries), [one["sql"] for one in queries if "photos_rendition" in one["sql"]]))
    # the share, the sharer's role, the positions, the photo, its renditions
    assert [count for count, _ in read] == [5, 5]
    for _, (renditions,) in read:
        assert [str(photo.pk) in renditions for photo in (*photos, *many)] == [False, True, False] + [False] * 6


def test_a_link_for_a_bucket_is_never_handed_out(
    visitor: Client, s3_storages: object, sharer: User, library: Library, settings: Settings
) -> None:
    settings.MEDIA_DELIVERY = "presigned"
    _, link = share(sharer, make_shown_photo(library), allow_originals=True)
    for rest in ("/1/preview", "/1/original"):
        response = visitor.get(link + rest)
        assert (response.status_code, response.has_header("Location")) == (200, False)
        body(response)


@pytest.mark.parametrize("method", ["put", "patch", "delete", "options"])
def test_other_methods_are_refused(visitor: Client, sharer: User, photos: list[Photo], method: str) -> None:
    _, link = share(sharer, *photos)
    assert getattr(visitor, method)(link).status_code == 405
    assert visitor.post(f"{link}/1").status_code == 405


def test_no_line_of_the_log_has_a_token(
    visitor: Client, sharer: User, photos: list[Photo], caplog: pytest.LogCaptureFixture
) -> None:
    from config.logging import JsonFormatter, LineFormatter, TaskFilter

    _, link = share(sharer, *photos)
    shares.revoke_shares(share_ids=Share.objects.values_list("pk", flat=True), by=sharer)
    for rest in ("", "/1", "/1/preview"):
        assert visitor.get(link + rest).status_code == 404
    records = [record for record in caplog.records if record.name == "django.request"]
    assert len(records) == 3
    for record in records:
        TaskFilter().filter(record)
        for formatter in (LineFormatter(), JsonFormatter()):
            written = formatter.format(record)
            assert "/s/***" in written
            assert link not in written


def test_a_colour_stands_for_a_photo() -> None:
    import thumbhash

    plain = bytes(thumbhash.rgba_to_thumb_hash(8, 8, [200, 100, 50, 255] * 64))
    colour = average_colour(plain)
    parts = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    # six bits of each part are kept
    assert all(abs(part - wanted) <= 8 for part, wanted in zip(parts, (200, 100, 50), strict=True)), colour
    assert colour == "#" + "".join(
        f"{round(255 * part):02x}" for part in thumbhash.thumb_hash_to_average_rgba(plain)[:3]
    )
    # the last has transparency, which stands behind its end
    for none in (None, b"", b"\0" * 4, b"\xff" * 5):
        assert average_colour(none) == NEUTRAL
    # as the database driver gives it: its items are no numbers
    assert average_colour(memoryview(plain).cast("c")) == colour
