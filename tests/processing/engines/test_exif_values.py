"""Values of EXIF: what is taken, what is refused, and with which warning."""

import io
import json
from datetime import UTC, datetime

import pytest
from exif_samples import (
    ASCII,
    BYTE,
    LONG,
    RATIONAL,
    SHORT,
    SIGNED_RATIONAL,
    UNDEFINED,
    Entry,
    jpeg,
    jpeg_with_exif,
    jpeg_with_xmp,
    tiff,
)

from processing.engines.exif import MetadataWarning, PhotoMetadata, read_metadata

MAKE, MODEL, ORIENTATION, DESCRIPTION, ARTIST = 0x010F, 0x0110, 0x0112, 0x010E, 0x013B
EXPOSURE, FNUMBER, ISO, FOCAL, FOCAL_35, FLASH = 0x829A, 0x829D, 0x8827, 0x920A, 0xA405, 0x9209
ORIGINAL, DIGITIZED, SUBSEC, OFFSET = 0x9003, 0x9004, 0x9291, 0x9011
NORTH: tuple[Entry, ...] = ((1, ASCII, b"N\x00"), (2, RATIONAL, (46, 1, 57, 1, 0, 1)))
WEST: tuple[Entry, ...] = ((3, ASCII, b"W\x00"), (4, RATIONAL, (7, 1, 2652, 100, 0, 1)))
GPS_CLOCK: tuple[Entry, ...] = ((7, RATIONAL, (12, 1, 0, 1, 1050, 100)), (0x1D, ASCII, b"2024:06:01\x00"))


def read(data: bytes, image_format: str = "JPEG") -> PhotoMetadata:
    return read_metadata(io.BytesIO(data), image_format=image_format)


def read_exif(*exif: Entry, image: tuple[Entry, ...] = (), gps: tuple[Entry, ...] = ()) -> PhotoMetadata:
    return read(jpeg_with_exif(image, exif, gps))


def codes(metadata: PhotoMetadata) -> list[tuple[str, str]]:
    return [(warning.code, warning.field) for warning in metadata.warnings]


@pytest.mark.parametrize("order", ["<", ">"])
def test_reads_a_camera_and_its_settings_in_both_byte_orders(order: str) -> None:
    block = tiff(
        [(MAKE, ASCII, b"Leica Camera AG\x00"), (MODEL, ASCII, b"  M11  \x00"), (ORIENTATION, SHORT, (6,))],
        [
            (EXPOSURE, RATIONAL, (1, 250)),
            (FNUMBER, RATIONAL, (28, 10)),
            (ISO, SHORT, (400,)),
            (FLASH, SHORT, (25,)),
            (FOCAL, RATIONAL, (35, 1)),
            (FOCAL_35, SHORT, (35,)),
            (0xA433, ASCII, b"Leica\x00"),
            (0xA434, ASCII, b"Summilux-M 1:1.4/35\x00"),
        ],
        order=order,
    )
    metadata = read(jpeg((0xE1, b"Exif\x00\x00" + block)))
    assert metadata == PhotoMetadata(
        make="Leica Camera AG",
        model="M11",
        lens_make="Leica",
        lens="Summilux-M 1:1.4/35",
        exposure_time_s=0.004,
        aperture=2.8,
        iso=400,
        focal_length_mm=35.0,
        focal_length_35mm=35.0,
        flash=25,
        flash_fired=True,
        orientation=6,
    )


@pytest.mark.parametrize(
    ("entry", "field", "code", "detail"),
    [
        ((EXPOSURE, RATIONAL, (0, 0)), "exposure_time_s", "zero_denominator", "EXIF ExposureTime: 0/0"),
        ((EXPOSURE, RATIONAL, (0, 1)), "exposure_time_s", "out_of_range", "EXIF ExposureTime: 0"),
        ((FNUMBER, RATIONAL, (0, 10)), "aperture", "out_of_range", "EXIF FNumber: 0"),
        ((FNUMBER, RATIONAL, (4_000_000_000, 1)), "aperture", "out_of_range", "EXIF FNumber: 4e+09"),
        ((ISO, SHORT, (0,)), "iso", "out_of_range", "EXIF ISOSpeedRatings: 0"),
        ((ISO, ASCII, b"Auto\x00"), "iso", "not_a_number", "EXIF ISOSpeedRatings: Auto"),
        ((FOCAL, RATIONAL, (50, 0)), "focal_length_mm", "zero_denominator", "EXIF FocalLength: 50/0"),
        ((FLASH, SHORT, (9969,)), "flash", "out_of_range", "EXIF Flash: 9969"),
    ],
)
def test_refuses_an_absurd_value_with_a_warning_and_keeps_it_among_the_tags(
    entry: Entry, field: str, code: str, detail: str
) -> None:
    metadata = read_exif(entry, (FOCAL_35, SHORT, (50,)))
    assert getattr(metadata, field) is None
    assert metadata.warnings == (MetadataWarning(code, field, detail),)
    assert metadata.focal_length_35mm == 50.0
    assert metadata.flash_fired is None


@pytest.mark.parametrize("orientation", [0, 9])
def test_refuses_an_orientation_that_does_not_exist(orientation: int) -> None:
    metadata = read_exif(image=((ORIENTATION, SHORT, (orientation,)),))
    assert metadata.orientation is None
    assert codes(metadata) == [("out_of_range", "orientation")]


def test_a_35mm_focal_length_of_zero_means_unknown() -> None:
    metadata = read_exif((FOCAL_35, SHORT, (0,)))
    assert (metadata.focal_length_35mm, metadata.warnings) == (None, ())


def test_takes_an_iso_beyond_16_bits_from_its_other_tag() -> None:
    assert read_exif((ISO, SHORT, (65535,)), (0x8832, LONG, (102_400,))).iso == 102_400


def test_takes_xmp_where_an_exif_value_was_refused() -> None:
    xmp_file = jpeg_with_xmp("<exif:FNumber>56/10</exif:FNumber><tiff:Make>Canon</tiff:Make>")
    exif_file = jpeg_with_exif(exif=[(FNUMBER, RATIONAL, (0, 0))])
    metadata = read(exif_file[:2] + xmp_file[2 : xmp_file.index(b"\xff\xe0")] + exif_file[2:])
    assert (metadata.aperture, metadata.make) == (5.6, "Canon")
    assert codes(metadata) == [("zero_denominator", "aperture")]


class TestDates:
    def test_takes_fraction_and_offset(self) -> None:
        metadata = read_exif(
            (ORIGINAL, ASCII, b"2024:06:01 14:00:10\x00"),
            (SUBSEC, ASCII, b"054\x00"),
            (OFFSET, ASCII, b"+02:00\x00"),
        )
        assert metadata.taken_at_local == datetime(2024, 6, 1, 14, 0, 10, 54_000)  # noqa: DTZ001 - a wall clock
        assert (metadata.taken_at_offset_minutes, metadata.taken_at_source) == (120, "exif")
        assert (metadata.taken_at_tag, metadata.tags, metadata.warnings) == ("EXIF DateTimeOriginal", {}, ())

    def test_derives_the_offset_from_the_gps_time(self) -> None:
        metadata = read_exif((ORIGINAL, ASCII, b"2024:06:01 17:33:02\x00"), gps=GPS_CLOCK)
        assert (metadata.taken_at_offset_minutes, metadata.taken_at_source) == (330, "gps")
        assert metadata.gps_time == datetime(2024, 6, 1, 12, 0, 10, 500_000, tzinfo=UTC)

    def test_stays_naive_where_no_zone_explains_the_gps_time(self) -> None:
        metadata = read_exif((ORIGINAL, ASCII, b"2024:06:02 17:33:02\x00"), gps=GPS_CLOCK)
        assert (metadata.taken_at_offset_minutes, metadata.taken_at_source) == (None, "naive")
        assert codes(metadata) == [("implausible_gps_offset", "taken_at")]

    def test_stays_naive_where_nothing_tells_the_offset(self) -> None:
        metadata = read_exif((ORIGINAL, ASCII, b"2024:06:01 14:00:10\x00"))
        assert (metadata.taken_at_offset_minutes, metadata.taken_at_source) == (None, "naive")

    def test_takes_the_gps_time_where_no_clock_was_set(self) -> None:
        metadata = read_exif((ORIGINAL, ASCII, b"0000:00:00 00:00:00\x00"), gps=GPS_CLOCK)
        assert metadata.taken_at_local == datetime(2024, 6, 1, 12, 0, 10, 500_000)  # noqa: DTZ001 - a wall clock
        assert (metadata.taken_at_offset_minutes, metadata.taken_at_source) == (0, "gps")

    @pytest.mark.parametrize(
        "text",
        [
            b"2024:02:30 10:00:00\x00",
            b"2024:13:01 10:00:00\x00",
            b"2024:01:01 24:00:00\x00",
            b"1825:12:31 10:00:00\x00",
            b"2101:01:01 10:00:00\x00",
            b"yesterday at noon!!\x00",
        ],
    )
    def test_refuses_an_impossible_date(self, text: bytes) -> None:
        metadata = read_exif((ORIGINAL, ASCII, text))
        assert (metadata.taken_at_local, metadata.taken_at_source, metadata.taken_at_tag) == (None, None, None)
        assert codes(metadata) == [("impossible_date", "taken_at")]

    @pytest.mark.parametrize("text", [b"    :  :     :  :  \x00", b"                   \x00", b"\x00"])
    def test_a_blank_date_is_unknown_without_a_warning(self, text: bytes) -> None:
        metadata = read_exif((ORIGINAL, ASCII, text))
        assert (metadata.taken_at_local, metadata.warnings) == (None, ())

    def test_takes_the_digitized_date_after_an_impossible_one(self) -> None:
        metadata = read_exif(
            (ORIGINAL, ASCII, b"0000:00:00 00:00:00\x00"), (DIGITIZED, ASCII, b"1999:12:31 23:59:59\x00")
        )
        assert metadata.taken_at_local == datetime(1999, 12, 31, 23, 59, 59)  # noqa: DTZ001 - a wall clock
        assert metadata.taken_at_tag == "EXIF DateTimeDigitized"
        assert codes(metadata) == [("impossible_date", "taken_at")]

    @pytest.mark.parametrize("offset", [b"+15:00\x00", b"+02:75\x00", b"local\x00"])
    def test_refuses_an_impossible_offset(self, offset: bytes) -> None:
        metadata = read_exif((ORIGINAL, ASCII, b"2024:06:01 14:00:10\x00"), (OFFSET, ASCII, offset))
        assert (metadata.taken_at_offset_minutes, metadata.taken_at_source) == (None, "naive")
        assert codes(metadata) == [("bad_offset", "taken_at")]


class TestPlace:
    def test_reads_degrees_minutes_seconds_altitude_and_direction(self) -> None:
        metadata = read_exif(
            gps=(*NORTH, *WEST, (5, BYTE, (1,)), (6, RATIONAL, (4283, 10)), (0x11, RATIONAL, (360, 1)))
        )
        assert (metadata.latitude, metadata.longitude) == (46.95, -7.442)
        assert (metadata.altitude_m, metadata.direction_deg) == (-428.3, 0.0)
        assert metadata.tags == {}

    @pytest.mark.parametrize(
        ("gps", "code"),
        [
            (
                ((1, ASCII, b"N\x00"), (2, RATIONAL, (0, 1) * 3), (3, ASCII, b"E\x00"), (4, RATIONAL, (0, 1) * 3)),
                "gps_null_island",
            ),
            (((1, ASCII, b"N\x00"), (2, RATIONAL, (91, 1, 0, 1, 0, 1)), *WEST), "out_of_range"),
            (((1, ASCII, b"N\x00"), (2, RATIONAL, (0, 0) * 3), *WEST), "zero_denominator"),
            (((1, ASCII, b"N\x00"), (2, SIGNED_RATIONAL, (-5, 1, 0, 1, 0, 1)), *WEST), "out_of_range"),
            ((NORTH[1], *WEST), "gps_reference_missing"),
            (((1, ASCII, b"E\x00"), NORTH[1], *WEST), "gps_reference_missing"),
            (NORTH, "not_a_number"),
        ],
    )
    def test_refuses_a_position_that_is_none(self, gps: tuple[Entry, ...], code: str) -> None:
        metadata = read_exif(gps=gps)
        assert (metadata.latitude, metadata.longitude) == (None, None)
        assert codes(metadata) == [(code, "position")]

    def test_reads_the_position_of_xmp(self) -> None:
        metadata = read(
            jpeg_with_xmp(
                "<exif:GPSLatitude>41,13.218N</exif:GPSLatitude><exif:GPSLongitude>96,4,17.85W</exif:GPSLongitude>"
                "<exif:GPSAltitude>3512/10</exif:GPSAltitude><exif:GPSAltitudeRef>0</exif:GPSAltitudeRef>"
            )
        )
        assert (metadata.latitude, metadata.longitude) == pytest.approx((41.2203, -96.071625), abs=1e-12)
        assert metadata.altitude_m == 351.2


class TestTexts:
    def test_drops_what_a_database_refuses_and_reads_old_encodings(self) -> None:
        metadata = read_exif(
            image=(
                (MAKE, ASCII, b"\x01Fuji\x1bfilm\x00garbage"),
                (ARTIST, ASCII, "Zoë Müller".encode("cp1252") + b"\x00"),
                (DESCRIPTION, ASCII, "Straße in Zürich".encode() + b"\x00"),
            )
        )
        assert metadata.make == "Fujifilm"
        assert (metadata.artist, metadata.description) == ("Zoë Müller", "Straße in Zürich")

    def test_cuts_a_long_text_with_a_warning(self) -> None:
        metadata = read_exif(image=((MODEL, ASCII, b"x" * 500 + b"\x00"),))
        assert metadata.model == "x" * 128
        assert metadata.warnings == (MetadataWarning("text_cut", "model", "500 characters"),)

    def test_falls_back_on_what_windows_wrote(self) -> None:
        metadata = read_exif(
            image=(
                (0x9C9B, BYTE, "Der Säntis\x00".encode("utf-16-le")),
                (0x9C9C, BYTE, ("Blick vom Gipfel " * 100).encode("utf-16-le")),
                (0x9C9D, BYTE, "Zoë\x00".encode("utf-16-le")),
                (0x9C9E, BYTE, "Berg;Schnee; Berg \x00".encode("utf-16-le")),
            )
        )
        assert (metadata.title, metadata.artist, metadata.keywords) == ("Der Säntis", "Zoë", ("Berg", "Schnee"))
        assert metadata.description == ("Blick vom Gipfel " * 100).strip()

    @pytest.mark.parametrize(
        "comment",
        [
            b"ASCII\x00\x00\x00caf\xc3\xa9",
            b"UNICODE\x00" + "café".encode("utf-16-le"),
            b"UNICODE\x00\xfe\xff" + "café".encode("utf-16-be"),
            b"\x00" * 8 + "café".encode("cp1252"),
            "café au lait"[:4].encode(),
        ],
    )
    def test_reads_a_user_comment_in_its_encoding(self, comment: bytes) -> None:
        assert read_exif((0x9286, UNDEFINED, comment)).tags == {"EXIF UserComment": "café"}


class TestTags:
    def test_keeps_the_other_tags_as_json(self) -> None:
        metadata = read_exif(
            (0x8822, SHORT, (3,)),
            (0x9000, UNDEFINED, b"0232"),
            (0x9204, SIGNED_RATIONAL, (-1, 3)),
            (0xA432, RATIONAL, (24, 1, 70, 1, 28, 10, 0, 0)),
            (0x927C, UNDEFINED, bytes(range(200))),
            (0xA302, UNDEFINED, bytes(range(40))),
            (0xA460, SHORT, (2,)),
        )
        assert metadata.tags == {
            "EXIF ExposureProgram": "Aperture Priority",
            "EXIF ExifVersion": "0232",
            "EXIF ExposureBiasValue": -1 / 3,
            "EXIF LensSpecification": [24, 70, 2.8, None],
            "EXIF CompositeImage": 2,
        }
        assert metadata.warnings == ()

    def test_bounds_their_size_and_counts_what_it_drops(self) -> None:
        entries = [(0xE000 + index, ASCII, b"y" * 2000 + b"\x00") for index in range(20)]
        metadata = read_exif(*entries)
        assert metadata.tags == {f"EXIF Tag 0x{0xE000 + index:04X}": "y" * 1000 for index in range(15)}
        assert len(json.dumps(metadata.tags)) <= 16_000
        assert metadata.warnings == (MetadataWarning("tags_dropped", "tags", "5"),)
