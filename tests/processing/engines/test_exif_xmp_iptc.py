"""XMP packets and IPTC records: their forms, their encodings, and who wins where they differ."""

import io
import struct
from datetime import datetime

import pytest
from exif_samples import (
    ASCII,
    XMP_HEAD,
    iim,
    jpeg,
    jpeg_with_xmp,
    photoshop,
    tiff,
    xmp,
)

from processing.engines.exif import PhotoMetadata, read_metadata

EXTENSION_HEAD = b"http://ns.adobe.com/xmp/extension/\x00"
GUID = b"0123456789ABCDEF0123456789ABCDEF"


def read(data: bytes) -> PhotoMetadata:
    return read_metadata(io.BytesIO(data), image_format="JPEG")


def read_iptc(*datasets: tuple[int, int, bytes]) -> PhotoMetadata:
    return read(jpeg((0xED, photoshop((0x0404, iim(*datasets))))))


class TestXmp:
    def test_reads_elements_attributes_and_arrays(self) -> None:
        metadata = read(
            jpeg_with_xmp(
                '<dc:title><rdf:Alt><rdf:li xml:lang="de">Gipfel</rdf:li>'
                '<rdf:li xml:lang="x-default">Summit</rdf:li></rdf:Alt></dc:title>'
                '<dc:description><rdf:Alt><rdf:li xml:lang="en">The view</rdf:li></rdf:Alt></dc:description>'
                "<dc:subject><rdf:Bag><rdf:li>snow</rdf:li><rdf:li> alps </rdf:li><rdf:li>snow</rdf:li></rdf:Bag>"
                "</dc:subject>"
                "<dc:creator><rdf:Seq><rdf:li>Zoë</rdf:li><rdf:li>Max</rdf:li></rdf:Seq></dc:creator>"
                "<tiff:Model>X100</tiff:Model>",
                attributes='xmp:Rating="4" tiff:Make="FUJIFILM" xmp:Label="Green"',
            )
        )
        assert metadata == PhotoMetadata(
            title="Summit",
            description="The view",
            keywords=("snow", "alps"),
            artist="Zoë; Max",
            make="FUJIFILM",
            model="X100",
            rating=4,
            tags={"XMP xmp:Label": "Green"},
        )

    def test_names_the_parts_of_a_structure_by_their_path(self) -> None:
        metadata = read(
            jpeg_with_xmp(
                '<exif:Flash rdf:parseType="Resource"><exif:Fired>True</exif:Fired></exif:Flash>'
                '<x:Place xmlns:x="http://example.org/x/"><rdf:Description x:Name="Bern"/></x:Place>'
            )
        )
        assert metadata.tags == {"XMP exif:Flash/exif:Fired": "True", "XMP x:Place/x:Name": "Bern"}

    @pytest.mark.parametrize(
        ("rating", "expected", "codes"),
        [("-1", -1, []), ("0", 0, []), ("3.0", 3, []), ("6", None, ["out_of_range"]), ("five", None, ["not_a_number"])],
    )
    def test_takes_a_rating_in_its_range(self, rating: str, expected: int | None, codes: list[str]) -> None:
        metadata = read(jpeg_with_xmp(f"<xmp:Rating>{rating}</xmp:Rating>"))
        assert metadata.rating == expected
        assert [warning.code for warning in metadata.warnings] == codes

    def test_takes_its_date_with_its_offset(self) -> None:
        metadata = read(jpeg_with_xmp("<photoshop:DateCreated>2014-09-21T16:00:56.25-04:30</photoshop:DateCreated>"))
        assert metadata.taken_at_local == datetime(2014, 9, 21, 16, 0, 56, 250_000)  # noqa: DTZ001 - a wall clock
        assert (metadata.taken_at_offset_minutes, metadata.taken_at_source) == (-270, "xmp")
        assert metadata.taken_at_tag == "XMP photoshop:DateCreated"
        assert metadata.warnings == ()

    def test_keeps_a_date_whose_offset_is_impossible(self) -> None:
        metadata = read(jpeg_with_xmp("<photoshop:DateCreated>2014-09-21T16:00:56+25:00</photoshop:DateCreated>"))
        assert metadata.taken_at_local == datetime(2014, 9, 21, 16, 0, 56)  # noqa: DTZ001 - a wall clock
        assert (metadata.taken_at_offset_minutes, metadata.taken_at_source) == (None, "naive")
        assert [(warning.code, warning.field) for warning in metadata.warnings] == [("bad_offset", "taken_at")]

    def test_says_that_a_date_comes_from_software(self) -> None:
        metadata = read(jpeg_with_xmp("<xmp:CreateDate>2014-09-21</xmp:CreateDate>"))
        assert metadata.taken_at_local == datetime(2014, 9, 21)  # noqa: DTZ001 - a wall clock
        assert metadata.taken_at_source == "naive"
        assert [(warning.code, warning.field) for warning in metadata.warnings] == [("uncertain_date", "taken_at")]

    def test_joins_the_parts_of_an_extension(self) -> None:
        extension = xmp("<photoshop:Instructions>" + "z" * 500 + "</photoshop:Instructions>")
        parts = [(0, extension[:300]), (300, extension[300:])]
        segments = [
            (0xE1, EXTENSION_HEAD + GUID + struct.pack(">II", len(extension), offset) + part) for offset, part in parts
        ]
        metadata = read(jpeg((0xE1, XMP_HEAD + xmp("<tiff:Make>Canon</tiff:Make>")), *reversed(segments)))
        assert metadata == PhotoMetadata(make="Canon", tags={"XMP photoshop:Instructions": "z" * 500})

    @pytest.mark.parametrize(
        "packet",
        [
            xmp("<tiff:Make>Cañon</tiff:Make>").decode().encode("utf-16"),
            xmp("<tiff:Make>Cañon</tiff:Make>") + b"   \x00\x00 <x:xmpmeta",
            xmp("<tiff:Make>Ca\x02ñon</tiff:Make>"),
            xmp("<tiff:Make>Cañon</tiff:Make>").decode().lstrip("\ufeff").replace("\ufeff", "").encode("latin-1"),
            b"\n\n" + xmp("<tiff:Make>Cañon</tiff:Make>"),
        ],
    )
    def test_reads_a_packet_in_spite_of_its_encoding_or_its_surroundings(self, packet: bytes) -> None:
        assert read(jpeg((0xE1, XMP_HEAD + packet))) == PhotoMetadata(make="Cañon")

    @pytest.mark.parametrize(
        "packet",
        [
            b"",
            b"no XML",
            xmp("<tiff:Make>Canon</tiff:Model>"),
            xmp("<tiff:Make>Canon</tiff:Make>")[:-60],
            b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><x:xmpmeta xmlns:x="adobe:ns:meta/">&b;</x:xmpmeta>',
        ],
    )
    def test_a_damaged_packet_gives_a_warning(self, packet: bytes) -> None:
        metadata = read(jpeg((0xE1, XMP_HEAD + packet)))
        assert metadata.make is None
        assert [(warning.code, warning.field) for warning in metadata.warnings] == [("xmp_damaged", "xmp")]


class TestIptc:
    def test_reads_its_fields(self) -> None:
        metadata = read_iptc(
            (1, 90, b"\x1b%G"),
            (2, 5, "Säntis".encode()),
            (2, 25, b"snow"),
            (2, 25, b"alps"),
            (2, 55, b"20080530"),
            (2, 60, b"155601+0200"),
            (2, 80, b"Zo\xc3\xab"),
            (2, 90, b"Bern"),
            (2, 116, b"CC0"),
            (2, 120, b"The view\rfrom above"),
            (2, 200, b"unnamed"),
        )
        assert metadata == PhotoMetadata(
            title="Säntis",
            keywords=("snow", "alps"),
            taken_at_local=datetime(2008, 5, 30, 15, 56, 1),  # noqa: DTZ001 - a wall clock
            taken_at_offset_minutes=120,
            taken_at_source="iptc",
            taken_at_tag="IPTC DateCreated",
            artist="Zoë",
            copyright="CC0",
            description="The view\nfrom above",
            tags={"IPTC City": "Bern"},
        )

    def test_reads_an_undeclared_encoding_as_utf8_or_else_windows(self) -> None:
        assert read_iptc((2, 5, "Säntis".encode())).title == "Säntis"
        assert read_iptc((2, 5, "Säntis “Gipfel”".encode("cp1252"))).title == "Säntis “Gipfel”"

    @pytest.mark.parametrize(
        ("date", "clock", "expected"),
        [
            (b"2015-01-24 00:00:00.0", b"", datetime(2015, 1, 24)),  # noqa: DTZ001 - a wall clock
            (b"20150124", b"noon", datetime(2015, 1, 24)),  # noqa: DTZ001 - a wall clock
            (b"20150124", b"12:30:00", datetime(2015, 1, 24, 12, 30)),  # noqa: DTZ001 - a wall clock
            (b"00000000", b"", None),
        ],
    )
    def test_reads_the_dates_that_people_write(self, date: bytes, clock: bytes, expected: datetime | None) -> None:
        metadata = read_iptc((2, 55, date), (2, 60, clock))
        assert metadata.taken_at_local == expected
        assert [warning.code for warning in metadata.warnings] == ([] if expected else ["impossible_date"])

    def test_reads_an_extended_dataset(self) -> None:
        block = b"\x1c\x02\x78" + struct.pack(">HI", 0x8004, 40_000) + b"y" * 40_000
        metadata = read(jpeg((0xED, photoshop((0x0404, block)))))
        assert metadata.description == "y" * 10_000
        assert [warning.code for warning in metadata.warnings] == ["text_cut"]

    @pytest.mark.parametrize(
        ("block", "detail"),
        [
            (iim((2, 5, b"Title")) + b"\x1c\x02\x78\x01\x00cut", "dataset 2:120 of 256 bytes is cut"),
            (iim((2, 5, b"Title")) + b"\x00\x01\x02\x03\x04", "no dataset at byte 10"),
        ],
    )
    def test_keeps_what_stands_before_the_damage(self, block: bytes, detail: str) -> None:
        metadata = read(jpeg((0xED, photoshop((0x0404, block)))))
        assert metadata.title == "Title"
        assert [(warning.code, warning.detail) for warning in metadata.warnings] == [("iptc_damaged", detail)]


def test_xmp_goes_before_iptc_before_exif_and_the_losers_stay_among_the_tags() -> None:
    exif = tiff([(0x010E, ASCII, b"OLYMPUS DIGITAL CAMERA\x00")])
    title = xmp('<dc:title><rdf:Alt><rdf:li xml:lang="x-default">One</rdf:li></rdf:Alt></dc:title>')
    data = jpeg(
        (0xE1, b"Exif\x00\x00" + exif),
        (0xE1, XMP_HEAD + title),
        (0xED, photoshop((0x0404, iim((2, 5, b"Two"), (2, 120, b"A caption"))))),
    )
    assert read(data) == PhotoMetadata(
        title="One",
        description="A caption",
        tags={"Image ImageDescription": "OLYMPUS DIGITAL CAMERA", "IPTC ObjectName": "Two"},
    )


def test_an_equal_text_of_another_block_is_not_repeated() -> None:
    exif = tiff([(0x010F, ASCII, b"PENTAX Corporation \x00")])
    data = jpeg((0xE1, b"Exif\x00\x00" + exif), (0xE1, XMP_HEAD + xmp("<tiff:Make>PENTAX Corporation</tiff:Make>")))
    assert read(data) == PhotoMetadata(make="PENTAX Corporation")
