"""`darkroom download` and `darkroom search`: what was asked for, whole, once, and nowhere else than in the folder."""

import hashlib
import json
import os
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import factories
import pytest
from installed import Command
from relay import Relay

from accounts.models import Library, User
from photos.models import Photo

MIB = 1024 * 1024
HOSTILE = (
    "../../escaped.jpg", "/etc/passwd", "..\\..\\windows.jpg", "..", ".bashrc", "", "a\x00b.jpg", "CON.jpg",
    "x\x1b[2Jy.jpg", "n" * 240 + ".jpg", "\u202egpj.exe", "sub/folder/deep.jpg", " spaces . ", "a:b|c?.jpg", "-rf",
)  # fmt: skip

# one process for many searches: each is what its own would print
SEARCHES = """
import json, sys
from click.testing import CliRunner
from darkroom_cli.main import cli
said = {}
for one in sys.argv[1:]:
    printed = CliRunner().invoke(cli, ["search", "--json", *one.split()], catch_exceptions=False).stdout
    said[one] = [json.loads(line)["id"] for line in printed.splitlines()]
print(json.dumps(said))
"""


def stored(library: Library, name: str, data: bytes | None = None, **values: Any) -> Photo:
    return factories.make_photo(library, data=data or os.urandom(3000), original_filename=name, **values)


def files(folder: Path) -> dict[str, str]:
    """The hash of every file of a folder, by its name."""
    return {
        str(one.relative_to(folder)): hashlib.sha256(one.read_bytes()).hexdigest()
        for one in folder.rglob("*")
        if one.is_file()
    }


def test_all_originals_arrive_and_are_not_fetched_twice(
    command_at: Callable, relay: Relay, library: Library, editor: User, tmp_path: Path
) -> None:
    one, two = stored(library, "IMG_1.jpg"), stored(library, "IMG_1.jpg")
    other, _strangers = stored(library, "img_1.JPG"), stored(factories.make_library(), "IMG_2.jpg")
    command, to = command_at(relay.url), tmp_path / "new" / "photos"

    done = command.run("download", "--all", "--to", to, "--jobs", "1")

    assert done.returncode == 0, done.stderr
    assert done.stderr == "✓ 3 downloaded (9.0 kB).\n"
    # newest first; names that differ in case alone are one name on many file systems
    assert files(to) == {
        "img_1.JPG": other.sha256,
        f"IMG_1 ({two.pk}).jpg": two.sha256,
        f"IMG_1 ({one.pk}).jpg": one.sha256,
    }
    relay.sent = 0
    again = command.run("download", "--all", "--to", to)
    assert (again.returncode, again.stderr) == (0, "✓ 3 there already.\n")
    # one question, whatever has been downloaded
    assert relay.sent < 1000
    only = command.run("download", "--ids", two.pk, "--to", tmp_path / "one")
    assert only.returncode == 0, only.stderr
    assert files(tmp_path / "one") == {"IMG_1.jpg": two.sha256}


def test_no_name_leads_out_of_the_folder(command: Command, library: Library, editor: User, tmp_path: Path) -> None:
    photos = [stored(library, name) for name in HOSTILE if "\x00" not in name]
    to = tmp_path / "a" / "b" / "to"
    to.mkdir(parents=True)
    before = files(tmp_path)

    done = command.run("download", "--all", "--to", to)

    assert done.returncode == 0, done.stderr
    found = files(to)
    assert sorted(found.values()) == sorted(one.sha256 for one in photos)
    assert {name: value for name, value in files(tmp_path).items() if not name.startswith("a/b/to/")} == before
    for name in found:
        assert "/" not in name
        assert "\\" not in name
        assert not name.startswith((".", " "))
        assert all(one.isprintable() for one in name)
        assert len(name.encode()) <= 255
    assert {"passwd", "escaped.jpg", "windows.jpg", "deep.jpg", "_CON.jpg", "bashrc", "a_b_c_.jpg"} <= set(found)
    assert "\x1b" not in done.stderr


def test_what_is_there_is_never_overwritten(command: Command, library: Library, editor: User, tmp_path: Path) -> None:
    photo, linked = stored(library, "mine.jpg"), stored(library, "link.jpg")
    to, outside = tmp_path / "to", tmp_path / "outside"
    to.mkdir()
    (to / "mine.jpg").write_text("my own work")
    outside.write_text("somebody's")
    (to / "link.jpg").symlink_to(outside)
    (to / f".darkroom-{linked.pk}.original.part").symlink_to(outside)

    refused = command.run("download", "--all", "--to", to)

    assert refused.returncode == 1
    assert "refused link.jpg: It cannot be written" in refused.stderr
    assert (to / "mine.jpg").read_text() == "my own work"
    assert outside.read_text() == "somebody's"
    assert files(to)[f"mine ({photo.pk}).jpg"] == photo.sha256

    (to / f".darkroom-{linked.pk}.original.part").unlink()
    (to / f"mine ({photo.pk}).jpg").write_text("altered, too")
    done = command.run("download", "--all", "--to", to)
    assert done.returncode == 1
    assert "refused mine.jpg: Another file has its name" in done.stderr
    assert "(taken)." in done.stderr
    assert (to / f"mine ({photo.pk}).jpg").read_text() == "altered, too"
    assert outside.read_text() == "somebody's"
    assert files(to)[f"link ({linked.pk}).jpg"] == linked.sha256


def test_killed_in_the_middle_it_goes_on_where_it_was(
    command: Command, library: Library, editor: User, tmp_path: Path
) -> None:
    data = os.urandom(30 * MIB)
    photo, to = stored(library, "large.tif", data), tmp_path / "to"
    part = to / f".darkroom-{photo.pk}.original.part"
    process = command.start("download", "--all", "--to", to)
    deadline = time.monotonic() + 60
    while not part.exists() or part.stat().st_size < MIB:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    assert not (to / "large.tif").exists()
    # as if it had been early: what comes after is not what was there
    with part.open("r+b") as opened:
        opened.truncate(MIB)
    kept = part.stat().st_ino

    done = command.run("download", "--all", "--to", to)

    assert done.returncode == 0, done.stderr
    # what came before is not fetched again, and the file is the same one
    assert done.stderr == "✓ 1 downloaded (30.4 MB).\n"
    assert files(to) == {"large.tif": photo.sha256}
    assert (to / "large.tif").stat().st_ino == kept


def test_a_part_with_other_bytes_is_fetched_anew(
    command: Command, library: Library, editor: User, tmp_path: Path
) -> None:
    photo, to = stored(library, "large.tif", os.urandom(2 * MIB)), tmp_path / "to"
    to.mkdir()
    (to / f".darkroom-{photo.pk}.original.part").write_bytes(b"wrong" * 1000)

    done = command.run("download", "--all", "--to", to)

    assert done.returncode == 0, done.stderr
    assert files(to) == {"large.tif": photo.sha256}


def test_bytes_that_are_not_those_of_the_photo_are_refused(
    command: Command, library: Library, editor: User, tmp_path: Path, shared_store: Path
) -> None:
    photo, to = stored(library, "rotten.jpg"), tmp_path / "to"
    [original] = shared_store.rglob(f"*{photo.pk}*")
    original.write_bytes(b"x" * photo.byte_size)

    done = command.run("download", "--all", "--to", to)

    assert done.returncode == 1
    assert "refused rotten.jpg: What has arrived does not have the SHA-256" in done.stderr
    assert "(wrong_hash)." in done.stderr
    assert files(to) == {}


def test_a_connection_that_breaks_is_made_again(
    command_at: Callable, relay: Relay, library: Library, editor: User, tmp_path: Path
) -> None:
    photo, to = stored(library, "large.tif", os.urandom(40 * MIB)), tmp_path / "to"
    part = to / f".darkroom-{photo.pk}.original.part"
    process = command_at(relay.url).start("download", "--all", "--to", to)
    deadline = time.monotonic() + 60
    while not part.exists() or part.stat().st_size < MIB:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.001)
    relay.cut()
    _, errors = process.communicate(timeout=60)

    assert process.returncode == 0, errors
    assert files(to) == {"large.tif": photo.sha256}


def test_previews_and_sidecars(command: Command, library: Library, editor: User, tmp_path: Path) -> None:
    photo, to = stored(library, "IMG_1.jpg", title="The Pier"), tmp_path / "to"
    preview = factories.make_rendition(photo, "preview", data=factories.image_bytes())

    assert command.run("download", "--ids", photo.pk, "--preview", "--to", to).returncode == 0
    assert command.run("download", "--ids", photo.pk, "--metadata", "xmp", "--to", to).returncode == 0
    found = files(to)
    assert set(found) == {"IMG_1.preview.jpg", "IMG_1.jpg.xmp"}
    assert found["IMG_1.preview.jpg"] == preview.sha256
    assert "The Pier" in (to / "IMG_1.jpg.xmp").read_text()

    for kind in (("--preview",), ("--metadata", "xmp")):
        again = command.run("download", "--ids", photo.pk, *kind, "--to", to)
        assert again.stderr == "✓ 1 there already.\n"
    assert files(to) == found

    # another sidecar by now: the first one may be somebody's work, and the second one is ours
    for title in ("The Harbour", "The Lighthouse"):
        Photo.objects.filter(pk=photo.pk).update(title=title)
        assert command.run("download", "--ids", photo.pk, "--metadata", "xmp", "--to", to).returncode == 0
        assert "The Pier" in (to / "IMG_1.jpg.xmp").read_text()
        assert title in (to / f"IMG_1 ({photo.pk}).jpg.xmp").read_text()
    assert len(files(to)) == 3


def test_a_visitor_gets_no_originals(command: Command, library: Library, tmp_path: Path, key: str) -> None:
    stored(library, "IMG_1.jpg")
    library.memberships.update(role=factories.make_member(library, "visitor").memberships.get().role)

    done = command.run("download", "--all", "--to", tmp_path / "to")

    assert done.returncode == 1
    assert "(permission_denied)." in done.stderr
    assert files(tmp_path / "to") == {}


def test_a_search_finds_what_the_filters_say(command: Command, library: Library, editor: User) -> None:
    ada = factories.make_person(library, name="Ada")
    photos = [stored(library, f"IMG_{number}.jpg", rating=number % 6) for number in range(7)]
    factories.make_face(photos[2], person=ada)
    factories.make_tag(library, "Sea", photos[2], photos[5])
    factories.make_metadata(photos[5], camera_make="Canon", taken_at=datetime(2024, 5, 31, 23, tzinfo=UTC))

    def of(*numbers: int) -> list[str]:
        return [str(photos[number].pk) for number in numbers]

    asked = {
        "": of(6, 5, 4, 3, 2, 1, 0),
        "--limit 2": of(6, 5),
        "--person ada": of(2),
        f"--person {ada.pk} --tag sea": of(2),
        "--library Family --camera-make Canon": of(5),
        "--taken-after 2024 --taken-before 2024-06": of(5),
        "--taken-before 2024-05-31": [],
        "--rating-min 4 --order uploaded": of(4),
        "--q IMG_3 --no-favourite": of(3),
        "--q IMG_3 --favourite": [],
        "--orientation landscape --limit 1": of(6),
        f"--sha256 {photos[1].sha256} --sha256 {photos[0].sha256}": of(1, 0),
    }
    assert json.loads(command.python(SEARCHES, *asked)) == asked
    [line] = command.run("search", "--tag", "sea", "--person", "Ada").stdout.splitlines()
    assert line.split("\t") == ["-", "IMG_2.jpg", "-", "-", "-", "3.0 kB", str(photos[2].pk)]


def test_a_search_follows_every_page(command: Command, library: Library, editor: User) -> None:
    rows = [factories.make_photo(library) for _ in range(203)]

    found = command.run("search", "--json").stdout.splitlines()

    assert [json.loads(line)["id"] for line in found] == [str(one.pk) for one in reversed(rows)]
    assert len(command.run("search", "--limit", "201").stdout.splitlines()) == 201


def test_words_of_strangers_steer_no_terminal(command: Command, library: Library, editor: User) -> None:
    stored(library, "a\x1b[2Jb.jpg", title="one\ttwo\x07\n\u202ethree")

    done = command.run("search")

    assert done.stdout.count("\n") == 1
    assert done.stdout.count("\t") == 6
    assert not any(one in done.stdout for one in "\x1b\x07\u202e")


def test_json_steers_no_terminal_either(command: Command, library: Library, editor: User) -> None:
    # of C1, which some terminals obey, and of those that turn the direction of writing
    title = "Zürich \x9b2J\u202e\x7f\U000e0001 東京"
    stored(library, "a.jpg", title=title)

    done = command.run("search", "--json")

    assert not any(one in done.stdout for one in "\x9b\u202e\x7f\U000e0001")
    assert "Zürich" in done.stdout
    assert json.loads(done.stdout)["title"] == title


@pytest.mark.parametrize("columns", ["60", "200"])
def test_on_a_terminal_it_is_a_table(columns: str, command: Command, library: Library, editor: User) -> None:
    import pty

    photo = stored(library, "a [bold]name[/bold].jpg", title="Harbour")
    primary, secondary = pty.openpty()
    import subprocess

    process = subprocess.Popen(
        [command.bin / "darkroom", "search"],
        env=command.environment | {"TERM": "xterm", "COLUMNS": columns},
        stdout=secondary,
        stderr=secondary,
        stdin=subprocess.DEVNULL,
    )
    os.close(secondary)
    printed = b""
    while True:
        try:
            data = os.read(primary, 65536)
        except OSError:
            break
        if not data:
            break
        printed += data
    os.close(primary)

    assert process.wait(30) == 0
    text = printed.decode()
    assert str(photo.pk) in text
    assert "1 photo." in text
    if columns == "200":
        assert "a [bold]name[/bold].jpg" in text
        assert "Harbour" in text
