"""Names in an export: what strangers called their files, as any system can unpack it."""

import unicodedata

import pytest

from processing.exporting.names import LONGEST_BYTES, Names, safe_name


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("IMG_1.jpg", "IMG_1.jpg"),
        ("../../x.jpg", "x.jpg"),
        ("/etc/passwd", "passwd"),
        ("..\\..\\evil.exe", "evil.exe"),
        ("C:\\photos\\a.jpg", "a.jpg"),
        ("c:a.jpg", "c_a.jpg"),
        ("a\x00b\x1f\x7f.jpg", "ab.jpg"),
        ("a\nb.jpg", "ab.jpg"),
        ("photo\u202egpj.exe", "photogpj.exe"),
        ("🏖️ beach.jpg", "🏖️ beach.jpg"),
        ("👨\u200d👩\u200d👧.heic", "👨\u200d👩\u200d👧.heic"),
        ("CON", "_CON"),
        ("con.jpg", "_con.jpg"),
        ("NUL.tar.jpg", "_NUL.tar.jpg"),
        ("lpt1 .jpg", "_lpt1.jpg"),
        ("CONTENT.jpg", "CONTENT.jpg"),
        (".htaccess", "htaccess"),
        ("-rf.jpg", "rf.jpg"),
        ("trailing. . .", "trailing"),
        ('<a>:"|?*.jpg', "_a______.jpg"),
        ("", "fallback.jpg"),
        ("..", "fallback.jpg"),
        ("a/", "fallback.jpg"),
        ("Stra\u0308nde.jpg", "Str\u00e4nde.jpg"),
    ],
)
def test_a_name_opens_nothing_else(given: str, name: str) -> None:
    assert safe_name(given, fallback="fallback.jpg") == name


def test_a_long_name_keeps_its_extension() -> None:
    name = safe_name("🏖" * 300 + ".jpeg", fallback="x")
    assert name.endswith("🏖.jpeg")
    assert LONGEST_BYTES - 4 < len(name.encode()) <= LONGEST_BYTES
    # what is no extension is no end to be kept
    assert len(safe_name("a." + "b" * 250, fallback="x")) == LONGEST_BYTES


def test_a_rendition_has_the_extension_of_what_it_is() -> None:
    assert safe_name("IMG_1.HEIC", fallback="x.heif", suffix=".jpg") == "IMG_1.jpg"
    assert safe_name("", fallback="0199.heif", suffix=".jpg") == "0199.jpg"
    assert safe_name("CON.HEIC", fallback="x", suffix=".jpg") == "_CON.jpg"


def test_names_are_numbered_where_a_system_would_take_them_for_one() -> None:
    names = Names()
    assert [names.take("a.jpg") for _ in range(3)] == ["a.jpg", "a (2).jpg", "a (3).jpg"]
    assert names.take("A.JPG") == "A (4).JPG"
    assert names.take("a (2).jpg") == "a (2) (2).jpg"
    assert names.take("manifest.json") == "manifest (2).json"
    assert names.take(unicodedata.normalize("NFD", "ä.jpg")) == unicodedata.normalize("NFD", "ä.jpg")
    assert names.take("ä.jpg") == "ä (2).jpg"


def test_what_goes_beside_a_photo_is_never_another_photo() -> None:
    names = Names()
    beside = (".json", ".xmp")
    assert names.take("a.jpg", beside=beside) == "a.jpg"
    assert names.take("a.jpg.json", beside=beside) == "a.jpg (2).json"
    assert names.take("b.jpg.xmp", beside=beside) == "b.jpg.xmp"
    assert names.take("b.jpg", beside=beside) == "b (2).jpg"


def test_ten_thousand_of_one_name_take_no_time() -> None:
    names = Names()
    assert len({names.take("photo.jpg", beside=(".json",)) for _ in range(10_000)}) == 10_000
