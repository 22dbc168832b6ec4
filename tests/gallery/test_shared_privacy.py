"""No place leaves by a link: the photos that have one go through the real stage, and what is shared is taken apart."""

import io
import json
import uuid
from pathlib import Path

import exifread
import factories
import pytest
import requests
from PIL import Image
from PIL.ExifTags import IFD
from pytest_django.live_server_helper import LiveServer
from shared_links import share

from photos.models import Photo, Rendition
from processing import ingest
from processing.pipeline import working

pytestmark = pytest.mark.django_db(transaction=True)

KINDS = {"preview", "thumb_1200", "thumb_600", "thumb_300"}
# segments of a JPEG: APP1 holds EXIF and XMP, APP2 colour profiles and MPF, APP13 IPTC, COM anything
JFIF, START_OF_SCAN = 0xE0, 0xDA
# what would hold a place, by whatever name: in EXIF, XMP, IPTC, or behind the picture
TRACES = (b"Exif", b"GPS", b"http://ns.adobe.com", b"<x:xmpmeta", b"Photoshop", b"Latitude", b"Longitude", b"ftyp")


def geotagged(folder: Path) -> list[Path]:
    """Give the photos of which exiftool reads a place, in whatever block of theirs."""
    expected = json.loads((folder / "expected_exif.json").read_text())
    named = {one["SourceFile"]: one for one in expected} if isinstance(expected, list) else expected
    return sorted(
        folder / name
        for name, tags in named.items()
        if any("GPSLatitude" in tag or "GPSPosition" in tag for tag in tags) and (folder / name).is_file()
    )


def segments(data: bytes) -> list[int]:
    """Give the markers of a JPEG before its pixels, and check that nothing lies behind them."""
    assert data[:2] == b"\xff\xd8"
    assert data[-2:] == b"\xff\xd9"
    found, at = [], 2
    while data[at + 1] != START_OF_SCAN:
        assert data[at] == 0xFF
        found.append(data[at + 1])
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    assert data.count(b"\xff\xd9", at) == 1
    return found


def test_no_shared_rendition_of_a_geotagged_photo_has_a_place(
    shared_photos: Path, photo_store: Path, live_server: LiveServer
) -> None:
    files = geotagged(shared_photos)
    assert len(files) == 13
    library = factories.make_library(**factories.FACES_OFF)
    sharer = factories.make_member(library, "editor")
    files_of = {}
    for file in files:
        taken = ingest.take_in(library=library, file=io.BytesIO(file.read_bytes()), filename=file.name)
        files_of[taken.photo.pk] = file
    for stage in ("exif", "renditions"):
        while working.work(stage_name=stage, task_id=uuid.uuid4().hex, worker="worker@test"):
            pass
    photos = [photo for photo in Photo.objects.order_by("pk") if photo.renditions.exists()]
    # a place was found in these, or this test would prove nothing
    placed = [photo for photo in photos if photo.metadata.latitude is not None]
    assert len(placed) >= 12
    # also where the sharer says that metadata may be shown
    links = [share(sharer, *photos)[1], share(sharer, *photos, show_metadata=True)[1]]

    checked = 0
    for link in links:
        for position, photo in enumerate(photos, 1):
            for kind in photo.renditions.values_list("kind", flat=True):
                answer = requests.get(f"{live_server.url}{link}/{position}/{kind}", timeout=30)
                assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/jpeg")
                _check(answer.content, files_of[photo.pk])
                checked += 1
            page = requests.get(f"{live_server.url}{link}/{position}", timeout=30).text
            for part in (photo.metadata.latitude, photo.metadata.longitude):
                assert part is None or f"{part:.3f}"[:-1] not in page
    assert set(Rendition.objects.values_list("kind", flat=True)) == KINDS
    assert checked == 2 * len(KINDS) * len(photos)


def _check(data: bytes, file: Path) -> None:
    assert exifread.process_file(io.BytesIO(data), details=True) == {}, file
    with Image.open(io.BytesIO(data)) as image:
        exif = image.getexif()
        assert (dict(exif), dict(exif.get_ifd(IFD.GPSInfo)), dict(exif.get_ifd(IFD.Exif))) == ({}, {}, {}), file
        assert image.getxmp() == {}, file
        assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density", "progressive", "progression"}
        image.load()
    # quantisation tables, Huffman tables, the frame, restart intervals and JFIF's own header: nothing that holds text
    assert set(segments(data)) <= {JFIF, 0xDB, 0xC0, 0xC2, 0xC4, 0xDD}, file
    header = data[: data.index(b"\xff\xda")]
    assert [trace for trace in TRACES if trace in header] == [], file


def test_a_place_that_was_left_in_would_be_found(shared_photos: Path) -> None:
    file = geotagged(shared_photos)[0]
    with pytest.raises(AssertionError):
        _check(file.read_bytes(), file)
