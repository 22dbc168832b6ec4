"""The sidecar, read back by the reader of strangers' packets."""

from datetime import UTC, datetime

from processing.engines.exif.facts import Facts
from processing.engines.exif.xmp import add_packet
from processing.engines.sidecar_writer import Said, write_packet


def read(said: Said) -> dict[str, object]:
    facts = Facts()
    add_packet(write_packet(said), facts)
    assert facts.warnings() == ()
    values = {name.removeprefix("XMP "): fact.values for name, fact in facts.remaining()}
    return {name: value[0] if len(value) == 1 else list(value) for name, value in values.items()}


def test_what_is_said_is_read_back() -> None:
    said = Said(
        title="Süd & <West>\x00",
        caption="Two\nlines",
        keywords=["sea", "sky"],
        rating=4,
        taken_at=datetime(2020, 5, 1, 12, tzinfo=UTC),
        taken_at_offset=-150,
        latitude=-33.8688,
        longitude=151.2093,
        country_code="AU",
        country="Australia",
        region="New South Wales",
        city="Sydney",
    )

    found = read(said)

    assert found["dc:title"] == "Süd & <West>"
    assert str(found["dc:description"]).split() == ["Two", "lines"]
    assert found["dc:subject"] == ["sea", "sky"]
    assert found["xmp:Rating"] == "4"
    assert found["photoshop:DateCreated"] == found["exif:DateTimeOriginal"] == "2020-05-01T09:30:00-02:30"
    assert (found["exif:GPSLatitude"], found["exif:GPSLongitude"]) == ("33,52.128000S", "151,12.558000E")
    assert (found["photoshop:City"], found["photoshop:State"]) == ("Sydney", "New South Wales")
    assert (found["photoshop:Country"], found["Iptc4xmpCore:CountryCode"]) == ("Australia", "AU")


def test_what_is_not_known_is_left_out() -> None:
    assert read(Said()) == {}


def test_a_clock_without_a_zone_has_none() -> None:
    assert read(Said(taken_at=datetime(2020, 5, 1, 12, tzinfo=UTC)))["photoshop:DateCreated"] == "2020-05-01T12:00:00"


def test_minutes_are_not_rounded_to_sixty() -> None:
    assert read(Said(latitude=45.9999999999, longitude=0))["exif:GPSLatitude"] == "46,0.000000N"
