"""`darkroom upload`: what the server lacks is sent, once, whatever breaks; what is refused is told."""

import contextlib
import hashlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import psutil
import pytest
from installed import Command
from PIL import Image
from relay import Relay
from upload_server import Server, serving, write_tiff

from accounts.models import Library, User
from accounts.roles import Permission
from accounts.services import api_keys
from gallery.models import Album
from photos import storage
from photos.models import Photo
from processing.models import Upload

MIB = 1024 * 1024


def picture(image_format: str = "JPEG") -> bytes:
    """Encode a small picture of noise: no two are the same."""
    made = BytesIO()
    Image.frombytes("RGB", (40, 30), os.urandom(40 * 30 * 3)).save(made, image_format)
    return made.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Photos as people have them: folders in folders, two of one name, the same twice, and what is no photo."""
    folder = tmp_path / "photos"
    for name in ("2023/IMG_1.jpg", "2023/Ölberg [1].JPG", "2024/IMG_1.jpg", "2024/raw/scan.tif", ".thumbs/hidden.jpg"):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(picture("TIFF" if name.endswith("tif") else "JPEG"))
    shutil.copy(folder / "2023/IMG_1.jpg", folder / "2024/copy.jpg")
    (folder / "2024/IMG_1.jpg.xmp").write_text("<x/>")
    (folder / "2024/clip.mov").write_bytes(b"a film")
    (folder / "link.jpg").symlink_to(folder / "2023/IMG_1.jpg")
    return folder


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def stored(photo: Photo) -> str:
    with storage.open_object(alias="originals", key=photo.storage_key) as original:
        return hashlib.file_digest(original, "sha256").hexdigest()


def told(done: subprocess.CompletedProcess[str]) -> list[str]:
    return done.stderr.splitlines()


def journal(command: Command) -> list[Path]:
    return list(Path(command.environment["HOME"]).glob(".local/state/darkroom/uploads/*"))


def wait_for(true: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_folder_is_sent_once(command_at: Callable, relay: Relay, library: Library, folder: Path) -> None:
    command = command_at(relay.url)
    first = command.run("upload", folder, "--library", "family", "--album", "Summer")

    assert first.returncode == 0, first.stderr
    assert re.fullmatch(r"✓ 4 sent \([\d.]+ kB\), 1 the same as another one of the folder\.", told(first)[0])
    assert told(first)[1:] == [
        "Passed over: 1 sidecar and 1 other file; sidecars are read by imports on the server.",
        "The album Summer has them.",
    ]
    photos = {one.original_filename: one for one in Photo.objects.filter(library=library)}
    assert Photo.objects.count() == 4
    assert set(photos) == {"IMG_1.jpg", "Ölberg [1].JPG", "scan.tif"}
    assert {one.sha256 for one in Photo.objects.all()} == {
        sha256_of(one)
        for one in folder.rglob("*")
        if one.suffix.lower() in {".jpg", ".tif"} and ".thumbs" not in str(one)
    }
    assert all(stored(one) == one.sha256 for one in Photo.objects.all())
    album = Album.objects.get(title="Summer", library=library)
    in_album = [str(one) for one in album.album_photos.order_by("position").values_list("photo__sha256", flat=True)]
    order = ("2023/IMG_1.jpg", "2023/Ölberg [1].JPG", "2024/IMG_1.jpg", "2024/raw/scan.tif")
    assert in_album == [sha256_of(folder / one) for one in order]
    assert journal(command) == []

    uploads, relay.sent = Upload.objects.count(), 0
    second = command.run("upload", folder, "--library", str(library.pk), "--album", "summer")

    assert (second.returncode, told(second)[0]) == (0, "✓ 5 there already.")
    assert (Upload.objects.count(), Photo.objects.count(), Album.objects.count()) == (uploads, 4, 1)
    # a few questions, and no byte of a photo
    assert relay.sent < 5_000


def test_what_would_be_sent_is_told_and_not_sent(command: Command, library: Library, folder: Path) -> None:
    done = command.run("upload", folder, "--library", "Family", "--album", "Summer", "--dry-run")

    assert done.returncode == 0, done.stderr
    assert re.match(r"✓ 4 would be sent \([\d.]+ kB\), 1 the same as another one", told(done)[0])
    assert (Photo.objects.count(), Upload.objects.count(), Album.objects.count()) == (0, 0, 0)
    assert journal(command) == []


def test_refused_files_are_told_and_the_others_sent(command: Command, library: Library, folder: Path) -> None:
    (folder / "2023/notes.jpg").write_text("this is no picture\n" * 9)
    (folder / "2023/empty.jpg").touch()
    (folder / "2024/copy.jpg").write_bytes((folder / "2023/notes.jpg").read_bytes())

    done = command.run("upload", folder, "--library", "Family")

    assert done.returncode == 1
    refused = {line.partition(": ")[0]: line for line in told(done) if line.startswith("refused ")}
    codes = {name: re.search(r"\((\w+)\)\.$", line)[1] for name, line in refused.items()}
    assert codes == {
        "refused 2023/notes.jpg": "unsupported_format",
        "refused 2023/empty.jpg": "empty_file",
        "refused 2024/copy.jpg": "unsupported_format",
    }
    assert any(line.startswith("✗ 4 sent (") and line.endswith(", 3 refused.") for line in told(done))
    assert Photo.objects.count() == 4
    assert journal(command) == []


def test_a_name_steers_no_terminal(command: Command, library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a\x1b]0;owned\x07\x1b[2J\u202egpj.jpg").write_text("no picture")
    # bytes that are no UTF-8
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.jpg")).write_bytes(picture())

    done = command.run("upload", folder, "--library", "Family")

    assert done.returncode == 1
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e]", done.stdout + done.stderr)
    assert "gpj.jpg: not a JPEG" in done.stderr
    assert Photo.objects.get().original_filename == "caf\ufffd.jpg"


def test_killed_in_the_middle_it_goes_on_where_it_was(
    command_at: Callable, relay: Relay, library: Library, tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    write_tiff(folder / "large.tif", width=3000, height=2500, seed=7)
    size = (folder / "large.tif").stat().st_size
    command = command_at(relay.url)
    relay.seconds_per_block = 0.004
    process = command.start("upload", folder, "--library", "Family")
    wait_for(lambda: Upload.objects.filter(offset__gt=20 * MIB).exists(), process)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    [entry] = journal(command)
    kept = Upload.objects.get().offset
    assert 20 * MIB < kept < size

    relay.sent, relay.seconds_per_block = 0, 0
    done = command.run("upload", folder, "--library", "Family")

    assert done.returncode == 0, done.stderr
    photo = Photo.objects.get()
    assert (photo.sha256, stored(photo)) == (sha256_of(folder / "large.tif"),) * 2
    assert Upload.objects.count() == 1
    # a few kilobytes of headers beside
    assert relay.sent < size - kept + 20_000
    assert not entry.exists()


def test_ctrl_c_says_how_it_goes_on(command_at: Callable, relay: Relay, library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        write_tiff(folder / f"{number}.tif", width=1000, height=800, seed=number)
    command = command_at(relay.url)
    relay.seconds_per_block = 0.2
    process = command.start("upload", folder, "--library", "Family", "--jobs", "2")
    wait_for(lambda: Upload.objects.filter(offset__gt=MIB).exists(), process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "Stopped. Nothing is lost: the same command goes on from here."
    assert "Traceback" not in errors
    assert Photo.objects.count() < 3

    relay.seconds_per_block = 0
    done = command.run("upload", folder, "--library", "Family")

    assert done.returncode == 0, done.stderr
    assert {one.sha256 for one in Photo.objects.all()} == {sha256_of(one) for one in folder.iterdir()}
    assert Upload.objects.count() == 3


def test_a_server_that_dies_is_waited_for(
    command_at: Callable,
    server: Server,
    server_environment: dict[str, str],
    library: Library,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    write_tiff(folder / "large.tif", width=3000, height=2500, seed=8)
    for number in range(3):
        (folder / f"{number}.jpg").write_bytes(picture())
    size = sum(one.stat().st_size for one in folder.iterdir())
    with serving(server_environment, tmp_path / "web.log") as dying:
        relay = Relay(dying.url, seconds_per_block=0.004)
        process = command_at(relay.url).start("upload", folder, "--library", "Family", "--jobs", "1")
        wait_for(lambda: Upload.objects.filter(offset__gt=10 * MIB).exists(), process)
        # nobody listens for a while, and then another one does
        relay.target = None
        dying.kill()
        relay.cut()
    time.sleep(2)
    relay.target = server.url
    _, errors = process.communicate(timeout=90)
    relay.close()

    assert process.returncode == 0, errors
    assert "4 sent" in errors
    assert {one.sha256 for one in Photo.objects.all()} == {sha256_of(one) for one in folder.iterdir()}
    assert all(stored(one) == one.sha256 for one in Photo.objects.all())
    # what was under way when it died is sent again, and no more: the server syncs every 8 MiB
    assert relay.sent < size + 17 * MIB


def test_the_same_folder_twice_at_once(command: Command, library: Library, folder: Path) -> None:
    write_tiff(folder / "large.tif", width=2000, height=2000, seed=12)
    both = [command.start("upload", folder, "--library", "Family") for _ in range(2)]
    told_by = [one.communicate(timeout=90)[1] for one in both]

    assert [one.returncode for one in both] == [0, 0], told_by
    photos = [one for one in folder.rglob("*") if one.suffix.lower() in {".jpg", ".tif"} and ".thumbs" not in str(one)]
    assert {one.sha256 for one in Photo.objects.all()} == {sha256_of(one) for one in photos}
    assert Photo.objects.count() == 5
    assert all(stored(one) == one.sha256 for one in Photo.objects.all())
    assert journal(command) == []


def test_connections_that_break_cost_little(
    command_at: Callable, relay: Relay, library: Library, tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    write_tiff(folder / "large.tif", width=2500, height=2500, seed=9)
    relay.seconds_per_block = 0.004
    process = command_at(relay.url).start("upload", folder, "--library", "Family")
    for offset in (3, 12, 21):
        wait_for(lambda least=offset * MIB: Upload.objects.filter(offset__gt=least).exists(), process)
        relay.cut()
    _, errors = process.communicate(timeout=90)

    assert process.returncode == 0, errors
    photo = Photo.objects.get()
    assert (photo.sha256, stored(photo)) == (sha256_of(folder / "large.tif"),) * 2
    # what lay in buffers when it was cut is sent again
    assert relay.sent < photo.byte_size + 12 * MIB


def test_a_file_that_is_written_to_meanwhile_is_no_photo(
    command_at: Callable, relay: Relay, library: Library, tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    write_tiff(folder / "large.tif", width=2500, height=2500, seed=10)
    relay.seconds_per_block = 0.01
    command = command_at(relay.url)
    process = command.start("upload", folder, "--library", "Family")
    wait_for(lambda: Upload.objects.filter(offset__gt=MIB).exists(), process)
    with (folder / "large.tif").open("r+b") as file:
        file.seek(-100, os.SEEK_END)
        file.write(b"another")
    _, errors = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "large.tif: The file was written to while it was read: upload it again (changed_while_read)." in errors
    assert Photo.objects.count() == 0
    assert not Upload.objects.filter(state="open").exists()
    assert journal(command) == []


def test_an_upload_that_is_gone_is_begun_anew(
    command_at: Callable, relay: Relay, library: Library, tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    write_tiff(folder / "large.tif", width=2000, height=2000, seed=11)
    command = command_at(relay.url)
    relay.seconds_per_block = 0.01
    process = command.start("upload", folder, "--library", "Family")
    wait_for(lambda: Upload.objects.filter(offset__gt=MIB).exists(), process)
    process.kill()
    process.communicate(timeout=30)
    Upload.objects.all().delete()
    # and under another name: the key of the first request would be refused for it
    (folder / "large.tif").rename(folder / "renamed.tif")

    relay.seconds_per_block = 0
    done = command.run("upload", folder, "--library", "Family")

    assert done.returncode == 0, done.stderr
    assert Photo.objects.get().original_filename == "renamed.tif"


def test_a_camera_that_may_not_look_uploads_by_the_librarys_id(
    command: Command, library: Library, editor: User, folder: Path
) -> None:
    blind = api_keys.create(owner=editor, name="camera", scopes=[Permission.UPLOAD_PHOTOS]).text
    command.environment["DARKROOM_API_KEY"] = blind

    by_name = command.run("upload", folder, "--library", "Family")
    assert (by_name.returncode, told(by_name)) == (2, ["✗ You see no library called Family (no_such_name)."])
    assert Photo.objects.count() == 0

    done = command.run("upload", folder, "--library", library.pk)
    assert done.returncode == 0, done.stderr
    assert Photo.objects.count() == 4
    again = command.run("upload", folder, "--library", library.pk)
    assert again.returncode == 0, again.stderr
    assert Photo.objects.count() == 4


def test_it_keeps_within_little_memory(command_at: Callable, relay: Relay, library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(4):
        write_tiff(folder / f"{number}.tif", width=3000, height=2500, seed=20 + number)
    relay.seconds_per_block = 0.001
    process = command_at(relay.url).start("upload", folder, "--library", "Family")
    most, watched = 0, psutil.Process(process.pid)
    while process.poll() is None:
        with contextlib.suppress(psutil.NoSuchProcess):
            most = max(most, watched.memory_info().rss)
        time.sleep(0.05)
    _, errors = process.communicate()

    assert process.returncode == 0, errors
    assert Photo.objects.count() == 4
    assert most < 150 * MIB, most
