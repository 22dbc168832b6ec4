"""Shared links in a real browser, on a phone and on a desk: nothing overflows, fails to load or is refused by a policy.

With SCREENSHOTS=<folder> the pictures are kept there.
"""

import io
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import factories
import pytest
from browser import Browser, browser
from pytest_django.live_server_helper import LiveServer
from shared_links import share

from accounts.models import Library, User
from photos.models import Photo
from processing import ingest
from processing.pipeline import working

pytestmark = pytest.mark.django_db(transaction=True)

WINDOWS = {"phone": (390, 844), "desk": (1300, 900)}
PASSWORD = "open sesame"
# wider and narrower ones, upright ones, and a panorama
CHOSEN = ("scenes/*", "exif/gps/*", "exif/orientation/*", "groups/*")


@pytest.fixture
def chromium(program: Callable[[str], str], tmp_path: Path) -> Iterator[Browser]:
    profile = tmp_path / "profile"
    profile.mkdir()
    with browser(program("chromium"), profile) as window:
        yield window


@pytest.fixture
def library(transactional_db: None) -> Library:
    return factories.make_library(**factories.FACES_OFF)


@pytest.fixture
def sharer(library: Library) -> User:
    return factories.make_member(library, "editor")


@pytest.fixture
def photos(shared_photos: Path, photo_store: Path, library: Library) -> list[Photo]:
    """Some real photos with their real renditions, and one whose renditions are not made yet."""
    files = [file for pattern in CHOSEN for file in sorted(shared_photos.glob(pattern))[:6] if file.is_file()]
    assert len(files) >= 12
    for file in files:
        ingest.take_in(library=library, file=io.BytesIO(file.read_bytes()), filename=file.name)
    for stage in ("exif", "renditions"):
        while working.work(stage_name=stage, task_id=uuid.uuid4().hex, worker="worker@test"):
            pass
    return [*Photo.objects.order_by("pk"), factories.make_photo(library)]


def shown(window: Browser, name: str, size: str) -> None:
    """Check what every page has to be: without sideways scrolling, with all images there, and silent."""
    assert window.evaluate("document.documentElement.scrollWidth") <= WINDOWS[size][0], name
    assert window.evaluate("document.scripts.length + document.querySelectorAll('style, [style]').length") == 0
    complete = (
        "[...document.images].filter(one => one.loading !== 'lazy').every(one => one.complete && one.naturalWidth)"
    )
    assert window.evaluate(complete) is True, name
    assert window.evaluate("getComputedStyle(document.body).margin") == "0px"  # the stylesheet is there
    assert window.said == [], name
    if folder := os.environ.get("SCREENSHOTS"):
        window.shoot(Path(folder) / f"{name}-{size}.png")


@pytest.mark.parametrize("size", WINDOWS)
def test_every_page_is_whole(
    chromium: Browser, live_server: LiveServer, sharer: User, photos: list[Photo], size: str
) -> None:
    width, height = WINDOWS[size]
    named = {"width": width, "height": height, "phone": size == "phone"}
    _, many = share(sharer, *photos, title="A week at the lake, with everybody who could come", show_metadata=True)
    _, one = share(sharer, photos[0], allow_originals=True)
    _, locked = share(sharer, *photos[:3], password=PASSWORD)

    for dark in (False, True):
        tone = "dark" if dark else "light"
        chromium.show(live_server.url + many, dark=dark, **named)
        shown(chromium, f"set-{tone}", size)
        # what waits until it is scrolled to comes then
        chromium.evaluate("scrollTo(0, 1e9); [...document.images].at(-1).decode()")
        shown(chromium, f"set-end-{tone}", size)
        chromium.show(f"{live_server.url}{many}/2", dark=dark, **named)
        shown(chromium, f"photo-{tone}", size)
        # all of it without scrolling
        assert chromium.evaluate("document.querySelector('.picture img').getBoundingClientRect().bottom") <= height
    chromium.show(live_server.url + one, **named)
    shown(chromium, "single", size)
    assert chromium.evaluate("document.querySelector('.button').getBoundingClientRect().bottom") <= height
    chromium.show(live_server.url + locked, **named)
    shown(chromium, "password", size)


def test_a_visitor_opens_a_locked_share_and_goes_through_it(
    chromium: Browser, live_server: LiveServer, sharer: User, photos: list[Photo]
) -> None:
    made, link = share(sharer, *photos[:3], password=PASSWORD)
    # none of it takes a script
    chromium.command("Emulation.setScriptExecutionDisabled", value=True)
    chromium.show(live_server.url + link, width=1300, height=900)

    def give(password: str) -> None:
        chromium.press(f"document.forms[0].password.value = '{password}'; document.forms[0].submit()")

    give("wrong one")
    assert chromium.evaluate("document.querySelector('[role=alert]').textContent") == "That is not the password."
    chromium.said.clear()  # the browser notes every 403
    give(PASSWORD)
    assert chromium.evaluate("document.querySelectorAll('.tiles img').length") == 3
    assert chromium.evaluate("location.pathname") == link
    chromium.press("document.querySelector('.tiles li:nth-child(2) a').click()")
    assert chromium.evaluate("document.querySelector('.count').textContent") == "2 / 3"
    chromium.press("document.querySelector('[rel=next]').click()")
    assert chromium.evaluate("location.pathname") == f"{link}/3"
    assert chromium.evaluate("document.referrer") == ""
    chromium.press("document.querySelector('.back').click()")
    assert chromium.evaluate("location.pathname") == link
    shown(chromium, "unlocked", "desk")
    made.refresh_from_db()
    assert made.view_count == 2


def test_a_dead_link_says_so_kindly(chromium: Browser, live_server: LiveServer, db: None) -> None:
    chromium.show(f"{live_server.url}/s/{'A' * 43}", width=390, height=844, phone=True)
    assert chromium.evaluate("document.querySelector('h1').textContent") == "Nothing here"
    assert [one.split(":")[0] for one in chromium.said] == ["error"]  # the browser notes every 404
    chromium.said.clear()
    shown(chromium, "gone", "phone")
