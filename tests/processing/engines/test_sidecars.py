"""Files beside photos: which belongs to which, what they say, and that hostile ones are refused."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from processing.engines.sidecars import MAX_SIDECAR_BYTES, SidecarError, candidates, read_takeout, read_xmp

LONG = "a-photo-with-a-very-long-name-that-goes-on-and"  # 46 characters


@pytest.mark.parametrize(
    ("photo", "sidecar", "kind"),
    [
        ("IMG_1.jpg", "IMG_1.jpg.xmp", "xmp"),
        ("IMG_1.jpg", "IMG_1.jpg.XMP", "xmp"),
        ("IMG_1.jpg", "IMG_1.xmp", "xmp"),
        ("noextension", "noextension.xmp", "xmp"),
        ("a.b.jpg", "a.b.xmp", "xmp"),
        # today's names
        ("IMG_1.jpg", "IMG_1.jpg.supplemental-metadata.json", "takeout"),
        ("IMG_1(1).jpg", "IMG_1.jpg.supplemental-metadata(1).json", "takeout"),
        ("IMG_1(12).jpg", "IMG_1.jpg.supplemental-metadata(12).json", "takeout"),
        # cut at 46 characters
        ("0d7b086cdcb68a4b6279fabaa0928e90.jpg", "0d7b086cdcb68a4b6279fabaa0928e90.jpg.supplemen.json", "takeout"),
        ("IMG_20250801_120808_LongEventTitleAtMuseumPalace.jpg",
         "IMG_20250801_120808_LongEventTitleAtMuseumPala.json", "takeout"),
        (f"{LONG}.jpg", f"{LONG}.json", "takeout"),
        (f"{LONG}-more.jpg", f"{LONG}.json", "takeout"),
        (f"{LONG}(2).jpg", f"{LONG}(2).json", "takeout"),
        (f"{LONG[:40]}.jpg", f"{LONG[:40]}.jpg.s.json", "takeout"),
        (f"{LONG[:41]}.jpg", f"{LONG[:41]}.jpg..json", "takeout"),
        (f"{LONG[:42]}.jpg", f"{LONG[:42]}.jpg.json", "takeout"),
        (f"{LONG[:44]}.jpg", f"{LONG[:44]}.j.json", "takeout"),
        # those of older exports
        ("IMG_1.jpg", "IMG_1.jpg.json", "takeout"),
        ("IMG_1(1).jpg", "IMG_1.jpg(1).json", "takeout"),
        # a number that is part of the name
        ("IMG_1(1).jpg", "IMG_1(1).jpg.json", "takeout"),
        ("IMG_1(1).jpg", "IMG_1(1).jpg.supplemental-metadata.json", "takeout"),
        # uploaded without an extension
        ("2234089303984509579.jpg", "2234089303984509579.supplemental-metadata.json", "takeout"),
        ("2234089303984509579.jpg", "2234089303984509579.json", "takeout"),
        # edited copies
        ("IMG_1-edited.jpg", "IMG_1.jpg.json", "takeout"),
        ("IMG_1-edited.jpg", "IMG_1.jpg.supplemental-metadata.json", "takeout"),
        ("IMG_1-edited(1).jpg", "IMG_1.jpg(1).json", "takeout"),
        ("IMG_1-edited(1).jpg", "IMG_1.jpg.supplemental-metadata(1).json", "takeout"),
        ("IMG_1-bearbeitet.jpg", "IMG_1.jpg.json", "takeout"),
        ("IMG_1-ha editado.jpg", "IMG_1.jpg.json", "takeout"),
        ("2234089303984509579-edited.jpg", "2234089303984509579.supplemental-metadata.json", "takeout"),
    ],
)  # fmt: skip
def test_the_names_of_a_photos_sidecar(photo: str, sidecar: str, kind: str) -> None:
    assert (sidecar, kind) in [(one.name, one.kind) for one in candidates(photo)]


@pytest.mark.parametrize(
    ("photo", "other"),
    [
        ("IMG_1.jpg", "IMG_10.jpg.json"),
        ("IMG_1.jpg", "IMG_1.jpg(1).json"),
        ("IMG_1(1).jpg", "IMG_1.jpg.json"),
        ("IMG_1.jpg", "IMG_1.png.json"),
        ("-edited.jpg", ".jpg.json"),
        ("IMG_1.jpg", "metadata.json"),
        ("IMG_1.jpg", "IMG_1-edited.jpg.json"),
        (".jpg", ".json"),
    ],
)
def test_what_is_no_sidecar_of_a_photo(photo: str, other: str) -> None:
    assert other not in [one.name for one in candidates(photo)]


def test_what_is_more_certain_comes_first() -> None:
    names = [one.name for one in candidates("IMG_1-edited(1).jpg")]
    assert names[0] == "IMG_1-edited(1).jpg.xmp"
    order = [
        "IMG_1-edited(1).xmp", "IMG_1-edited.jpg.supplemental-metadata(1).json", "IMG_1-edited.jpg(1).json",
        "IMG_1.jpg.supplemental-metadata(1).json", "IMG_1.jpg(1).json", "IMG_1(1).jpg.json",
    ]  # fmt: skip
    assert [name for name in names if name in order] == order
    assert len(names) == len(set(names)) < 30


@pytest.mark.parametrize("name", ["", ".", "..", "(1)", "(1).jpg", "-edited", "x" * 5000, "\udce9.jpg", "a\nb.jpg"])
def test_any_name_has_few_candidates_and_none_is_itself(name: str) -> None:
    found = candidates(name)
    assert len(found) < 40
    assert name not in [one.name for one in found]
    assert all("/" not in one.name for one in found)


# XMP


def packet(body: str, *, attributes: str = "") -> bytes:
    return f"""<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:lr="http://ns.adobe.com/lightroom/1.0/"
 xmlns:digiKam="http://www.digikam.org/ns/1.0/" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
 xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/" {attributes}>{body}</rdf:Description>
</rdf:RDF></x:xmpmeta>""".encode()


DARKTABLE = packet(
    """
   <dc:title><rdf:Alt><rdf:li xml:lang="x-default">The harbour</rdf:li></rdf:Alt></dc:title>
   <dc:description><rdf:Alt><rdf:li xml:lang="x-default">Two boats &amp; a gull</rdf:li></rdf:Alt></dc:description>
   <dc:subject><rdf:Seq><rdf:li>sea</rdf:li><rdf:li>boats</rdf:li><rdf:li>sea</rdf:li></rdf:Seq></dc:subject>
   <lr:hierarchicalSubject><rdf:Seq><rdf:li>places|sea</rdf:li></rdf:Seq></lr:hierarchicalSubject>""",
    attributes='xmp:Rating="4" exif:DateTimeOriginal="2021-07-03T18:30:05+02:00" '
    'exif:GPSLatitude="54,19.5N" exif:GPSLongitude="10,8.25E"',
)


def test_what_darktable_writes_is_read() -> None:
    assert read_xmp(DARKTABLE).as_json() == {
        "title": "The harbour",
        "caption": "Two boats & a gull",
        "keywords": ["sea", "boats"],
        "rating": 4,
        "taken_at": "2021-07-03T16:30:05+00:00",
        "latitude": 54.325,
        "longitude": 10.1375,
        "favourite": None,
        "people": [],
    }


def test_names_of_people_are_read_wherever_tools_write_them() -> None:
    region = '<rdf:li><rdf:Description mwg-rs:Name="{}" mwg-rs:Type="{}"/></rdf:li>'
    body = (
        "<Iptc4xmpExt:PersonInImage><rdf:Bag><rdf:li>Ada</rdf:li></rdf:Bag></Iptc4xmpExt:PersonInImage>"
        '<mwg-rs:Regions rdf:parseType="Resource"><mwg-rs:RegionList><rdf:Bag>'
        + region.format("Grace", "Face")
        + region.format("Ada", "Face")
        + region.format("a dog", "Pet")
        + '<rdf:li rdf:parseType="Resource"><mwg-rs:Name>Emmy</mwg-rs:Name><mwg-rs:Type>Face</mwg-rs:Type></rdf:li>'
        + "</rdf:Bag></mwg-rs:RegionList></mwg-rs:Regions>"
    )
    assert read_xmp(packet(body)).people == ("Ada", "Grace", "Emmy")


def test_words_of_a_hierarchy_are_keywords_where_there_are_no_others() -> None:
    body = "<digiKam:TagsList><rdf:Seq><rdf:li>places/sea</rdf:li><rdf:li>boats</rdf:li></rdf:Seq></digiKam:TagsList>"
    assert read_xmp(packet(body)).keywords == ("sea", "boats")


def test_a_wall_clock_without_a_zone_is_given_as_if_it_were_utc() -> None:
    found = read_xmp(packet("", attributes='exif:DateTimeOriginal="2021:07:03 18:30:05"'))
    assert found.taken_at == datetime(2021, 7, 3, 18, 30, 5, tzinfo=UTC)


def test_what_cannot_be_is_left_out() -> None:
    found = read_xmp(packet("", attributes='xmp:Rating="77" exif:DateTimeOriginal="9999-99-99" exif:GPSLatitude="x"'))
    assert (found.rating, found.taken_at, found.latitude, found.longitude) == (None, None, None, None)


BOMB = b"""<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY a "&lol;&lol;&lol;&lol;&lol;&lol;">
<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><x:xmpmeta xmlns:x="adobe:ns:meta/">&b;</x:xmpmeta>"""
OUTSIDE = b"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><x>&f;</x>"""


@pytest.mark.parametrize(
    "data",
    [
        b"", b"no xml", b"<a", BOMB, OUTSIDE, b"<a/>", b"\xff\xfe\x00", b"<a>" * 5000, b"\x00" * 100,
        DARKTABLE + b" " * MAX_SIDECAR_BYTES, DARKTABLE[: len(DARKTABLE) // 2],
    ],
)  # fmt: skip
def test_what_is_no_xmp_is_refused(data: bytes) -> None:
    with pytest.raises(SidecarError) as refused:
        read_xmp(data)
    assert (refused.value.code, refused.value.permanent) == ("sidecar_damaged", True)


# Takeout


def takeout(**values: Any) -> bytes:
    plain = {
        "title": "IMG_1.jpg",
        "description": "At the sea",
        "imageViews": "3",
        "creationTime": {"timestamp": "1625330000", "formatted": "3 Jul 2021, 16:33:20 UTC"},
        "photoTakenTime": {"timestamp": "1625329805", "formatted": "3 Jul 2021, 16:30:05 UTC"},
        "geoData": {"latitude": 54.325, "longitude": 10.1375, "altitude": 2.0},
        "geoDataExif": {"latitude": 1.0, "longitude": 2.0, "altitude": 0.0},
        "people": [{"name": "Ada"}, {"name": "Grace"}, {"name": "Ada"}],
        "favorited": True,
    }
    return json.dumps({**plain, **values}).encode()


def test_what_takeout_writes_is_read() -> None:
    assert read_takeout(takeout()).as_json() == {
        "title": "",
        "caption": "At the sea",
        "keywords": [],
        "rating": None,
        "taken_at": "2021-07-03T16:30:05+00:00",
        "latitude": 54.325,
        "longitude": 10.1375,
        "favourite": True,
        "people": ["Ada", "Grace"],
    }


def test_a_position_of_zeros_is_none_and_the_cameras_is_taken_then() -> None:
    nowhere = {"latitude": 0.0, "longitude": 0.0}
    found = read_takeout(takeout(geoData=nowhere))
    assert (found.latitude, found.longitude) == (1.0, 2.0)
    found = read_takeout(takeout(geoData=nowhere, geoDataExif=nowhere))
    assert (found.latitude, found.longitude) == (None, None)


@pytest.mark.parametrize(
    ("values", "name", "expected"),
    [
        ({"photoTakenTime": {"timestamp": "-86400"}}, "taken_at", datetime(1969, 12, 31, tzinfo=UTC)),
        ({"photoTakenTime": {"timestamp": "0"}}, "taken_at", None),
        ({"photoTakenTime": {"timestamp": "9" * 18}}, "taken_at", None),
        ({"photoTakenTime": {"timestamp": "9" * 5000}}, "taken_at", None),
        ({"photoTakenTime": {"timestamp": True}}, "taken_at", None),
        ({"photoTakenTime": {"timestamp": "yesterday"}}, "taken_at", None),
        ({"photoTakenTime": "yesterday"}, "taken_at", None),
        ({"geoData": {"latitude": 91, "longitude": 0}, "geoDataExif": 7}, "latitude", None),
        ({"geoData": {"latitude": 10**400, "longitude": 0}, "geoDataExif": None}, "latitude", None),
        ({"geoData": {"latitude": "54", "longitude": "10"}, "geoDataExif": []}, "latitude", None),
        ({"description": ["a"]}, "caption", ""),
        ({"description": "a\u0000b\ud800"}, "caption", "ab\ufffd"),
        ({"description": "x" * 20_000}, "caption", "x" * 10_000),
        ({"people": {"name": "Ada"}}, "people", ()),
        ({"people": ["Ada", {"name": 7}, {"name": " Ada\n"}, {}]}, "people", ("Ada",)),
        ({"people": [{"name": str(number)} for number in range(500)]}, "people", tuple(map(str, range(100)))),
        ({"favorited": "yes"}, "favourite", None),
    ],
)
def test_what_cannot_be_is_not_taken(values: dict[str, Any], name: str, expected: object) -> None:
    assert getattr(read_takeout(takeout(**values)), name) == expected


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{", b"[]", b"7", b"null", b'{"title": "an album"}', b"[" * 100_000, b'{"imageViews":' * 50_000,
        b'{"photoTakenTime": NaN}', b"\xff\xfe\x00\x01", takeout() + b" " * MAX_SIDECAR_BYTES, b"9" * 5000,
    ],
)  # fmt: skip
def test_what_is_not_of_takeout_is_refused(data: bytes) -> None:
    with pytest.raises(SidecarError):
        read_takeout(data)
