"""What goes wrong is one sentence with a code and an exit status; and the key is nobody else's to see."""

import http.server
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import factories
import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from installed import Command
from relay import Relay
from upload_server import serving

from accounts.models import ApiKey, Library, User
from accounts.services import second_factor
from photos.models import Photo
from processing.models import Upload

WRONG_ADDRESSES = ("ftp://host", "http://", "http://a:b@host", "http://[::1", "http://h:0", "http://h:x", "http://h?x")
ADDRESSES = """
import json, sys
from darkroom_cli.settings import ConfigurationError, checked_url
said = {}
for one in sys.argv[1:]:
    try:
        said[one] = checked_url(one)
    except ConfigurationError as error:
        said[one] = error.code
print(json.dumps(said))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(4):
        (folder / f"{number}.png").write_bytes(factories.image_bytes("PNG"))
    return folder


@pytest.fixture
def website() -> Iterator[str]:
    """A web server that is no Darkroom: it answers everything with a page, and with a redirect below /moved."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            moved = self.path.startswith("/moved")
            self.send_response(301 if moved else 200)
            self.send_header("Location", "https://elsewhere.example.org/api/v1/photos?key=1")
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", "6")
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, *_about: object) -> None:
            """Keep silent."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def refused(command: Command, *arguments: object, stdin: str = "") -> tuple[int, str]:
    """Give the exit status and the one line that was told."""
    done = command.run(*arguments, stdin=stdin)
    [line] = done.stderr.splitlines()
    assert done.stdout == ""
    return done.returncode, line


def test_a_wrong_key_an_expired_one_and_a_revoked_one(command: Command, library: Library, folder: Path) -> None:
    right = command.environment["DARKROOM_API_KEY"]
    sentence = "✗ The API key is not valid: it is not known, was revoked or has expired, or its owner was deactivated"

    for key in ("nonsense", right[:-1] + ("0" if right[-1] != "0" else "1")):
        command.environment["DARKROOM_API_KEY"] = key
        assert refused(command, "search") == (3, f"{sentence} (api_key_not_valid).")
    command.environment["DARKROOM_API_KEY"] = right
    assert command.run("search").returncode == 0
    ApiKey.objects.update(created_at=datetime(2020, 1, 1, tzinfo=UTC), expires_at=datetime(2020, 1, 2, tzinfo=UTC))
    for arguments in (["search"], ["upload", folder, "--library", library.pk], ["download", "--all", "--to", folder]):
        assert refused(command, *arguments) == (3, f"{sentence} (api_key_not_valid).")
    assert Photo.objects.count() == 0
    assert len(list(folder.iterdir())) == 4


def test_a_key_that_ends_within_a_run_ends_the_run(
    command_at: Callable, relay: Relay, library: Library, folder: Path
) -> None:
    relay.seconds_per_block = 0.05
    process = command_at(relay.url).start("upload", folder, "--library", "Family", "--jobs", "1")
    deadline = time.monotonic() + 60
    while not Upload.objects.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    ApiKey.objects.update(revoked_at=datetime.now(UTC))
    _, errors = process.communicate(timeout=30)

    assert process.returncode == 3
    assert errors.splitlines()[-1].endswith("(api_key_not_valid).")
    assert "Traceback" not in errors
    assert Photo.objects.count() < 4


def test_addresses_at_which_no_darkroom_is(command: Command, website: str, closed_port: int) -> None:
    def at(url: str, *options: str) -> tuple[int, str]:
        command.environment["DARKROOM_URL"] = url
        return refused(command, *options, "search")

    right = command.environment["DARKROOM_URL"]
    ending = "and not as a Darkroom does: is it right? (not_darkroom)."
    assert at(f"{right}/elsewhere") == (3, f"✗ {right}/elsewhere answers 404, {ending}")
    assert at(website) == (3, "✗ " + f"{website} answers, but not as a Darkroom does: is it right? (not_darkroom).")
    assert at(f"{website}/moved") == (
        3,
        f"✗ {website}/moved sends to https://elsewhere.example.org: name that address instead (not_darkroom).",
    )
    command.environment["DARKROOM_URL"] = f"{right}/api/v1/"
    assert command.run("search").returncode == 0
    assert at("photos.example.org")[0] == 2
    said = json.loads(command.python(ADDRESSES, *WRONG_ADDRESSES))
    assert said == dict.fromkeys(WRONG_ADDRESSES, "not_configured")
    started = time.monotonic()
    status, line = at(f"http://127.0.0.1:{closed_port}", "--patience", "2")
    assert (status, re.sub(r"does not answer: .* \(", "does not answer: … (", line)) == (
        3,
        f"✗ http://127.0.0.1:{closed_port} does not answer: … (unreachable).",
    )
    assert time.monotonic() - started < 15


def test_a_command_line_that_cannot_be_is_no_traceback(command: Command, library: Library, folder: Path) -> None:
    assert refused(command, "search", "--iso-min", "99999999999") == (
        3,
        "✗ iso_min: Ensure this value is less than or equal to 10000000 (invalid).",
    )
    assert refused(command, "search", "--person", "nobody") == (2, "✗ You see no person called nobody (no_such_name).")
    factories.make_member(library, "editor")
    twin = factories.make_library(name="FAMILY")
    twin.memberships.create(user=library.memberships.first().user, role=library.memberships.first().role)
    status, line = refused(command, "upload", folder, "--library", "family")
    assert (status, line.startswith("✗ There is more than one library called family")) == (2, True)
    assert str(twin.pk) in line
    unknown = "01a2057e-80a4-7549-8102-d75a45924355"
    assert refused(command, "upload", folder, "--library", unknown) == (
        3,
        f"✗ There is no library {unknown}, or you may not see it (not_found).",
    )
    for arguments in (
        ["download", "--to", folder],
        ["download", "--all", "--q", "x", "--to", folder],
        ["upload", "/no"],
    ):
        done = command.run(*arguments)
        assert (done.returncode, done.stderr.startswith("Usage: darkroom ")) == (2, True)
    assert Photo.objects.count() == 0


def test_an_upload_without_the_permission_changes_nothing(
    command: Command, library: Library, key: str, folder: Path
) -> None:
    library.memberships.update(role=factories.make_member(library, "visitor").memberships.get().role)

    status, line = refused(command, "upload", folder, "--library", "Family")

    assert (status, line.endswith("(permission_denied).")) == (3, True)
    assert (Photo.objects.count(), Upload.objects.count()) == (0, 0)


def test_a_limit_on_requests_is_waited_for(
    command_at: Callable, server_environment: dict[str, str], library: Library, folder: Path, tmp_path: Path
) -> None:
    environment = server_environment | {
        "DJANGO_SETTINGS_MODULE": "config.settings.local",
        "VAR_DIR": str(tmp_path / "var"),
        "RATE_LIMIT_UPLOADS": "3/s",
    }
    for file in sorted(folder.iterdir())[2:]:
        file.unlink()
    with serving(environment, tmp_path / "web.log") as strict:
        relay = Relay(strict.url)
        done = command_at(relay.url).run("upload", folder, "--library", "Family")
        relay.close()

    assert done.returncode == 0, done.stderr
    assert "Too Many Requests: /api/v1/uploads" in (tmp_path / "web.log").read_text()
    assert Photo.objects.count() == 2


def test_login_keeps_a_key_that_it_has_tried(command: Command, library: Library, key: str) -> None:
    url = command.environment.pop("DARKROOM_URL")
    del command.environment["DARKROOM_API_KEY"]
    file = Path(command.environment["HOME"]) / ".config" / "darkroom" / "config.json"

    status, line = refused(command, "search")
    assert (status, line.endswith("set DARKROOM_URL and DARKROOM_API_KEY (not_configured).")) == (2, True)
    status, line = refused(command, "login", url, stdin="nonsense\n")
    assert (status, line.endswith("(api_key_not_valid).")) == (3, True)
    warned = command.run("--patience", "0", "login", "http://0.0.0.0:1", stdin=f"{key}\n").stderr.splitlines()
    assert warned[0].startswith("http://0.0.0.0:1 is not encrypted")
    assert warned[-1].endswith("(unreachable).")
    assert not file.exists()

    done = command.run("login", f"{url}/", stdin=f"{key}\n")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"{url} lets you in, and shows 1 library:",
        f"  {library.pk}  Family",
        f"Address and key are in {file}, which only you may read.",
    ]
    assert key not in done.stdout + done.stderr
    assert json.loads(file.read_text()) == {"url": url, "api_key": key}
    assert file.stat().st_mode & 0o777 == 0o600
    assert command.run("search").returncode == 0

    # the key is shown to no other server
    command.environment["DARKROOM_URL"] = "http://127.0.0.1:1"
    status, line = refused(command, "search")
    assert (status, "names another server than the key" in line) == (2, True)
    del command.environment["DARKROOM_URL"]
    file.chmod(0o640)
    status, line = refused(command, "search")
    assert (status, "others may read it" in line) == (2, True)
    file.chmod(0o600)
    file.write_text("{")
    assert refused(command, "search")[0] == 2


def test_login_with_a_password_has_a_key_made(command: Command, editor: User, library: Library) -> None:
    url = command.environment.pop("DARKROOM_URL")
    del command.environment["DARKROOM_API_KEY"]
    wrong = command.run("login", url, "--email", editor.email, stdin="wrong\n")
    assert wrong.returncode == 3
    assert wrong.stderr.splitlines()[-1].endswith("(no_active_account).")
    before = set(ApiKey.objects.values_list("pk", flat=True))

    done = command.run("login", url, "--email", editor.email, "--days", "30", stdin=f"{factories.PASSWORD}\n")

    assert done.returncode == 0, done.stderr
    assert "echoed" not in done.stderr
    made = ApiKey.objects.exclude(pk__in=before).get()
    assert made.name.startswith("darkroom on ")
    assert sorted(made.scopes) == sorted(
        ["photos.view", "originals.download", "photos.upload", "photos.edit", "people.view"]
    )
    assert timedelta(days=29) < made.expires_at - datetime.now(UTC) < timedelta(days=30)
    assert command.run("search").returncode == 0

    begun = second_factor.begin(user=editor, password=factories.PASSWORD)
    step = int(time.time()) // 30
    second_factor.confirm(
        user=editor, enrolment=begun.enrolment, code=format_hotp_value(hotp_value(begun.secret, step - 1))
    )
    code = format_hotp_value(hotp_value(begun.secret, int(time.time()) // 30))
    both = command.run("login", url, "--email", editor.email, stdin=f"{factories.PASSWORD}\n{code}\n")
    assert both.returncode == 0, both.stderr
    assert ApiKey.objects.exclude(pk__in=before).count() == 2


def test_a_redirect_to_another_host_gets_no_key(programs: Path, tmp_path: Path) -> None:
    """As a bucket's address is: the client follows, and what opens Darkroom stays here."""
    asked: list[dict[str, str]] = []

    class Bucket(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append({name.lower(): value for name, value in self.headers.items()})
            first = self.path.startswith("/api/")
            self.send_response(302 if first else 200)
            if first:
                self.send_header("Location", f"http://localhost:{self.server.server_address[1]}/bucket/key")
            self.send_header("Content-Length", "0" if first else "5")
            self.end_headers()
            self.wfile.write(b"" if first else b"photo")

        def log_message(self, *_about: object) -> None:
            """Keep silent."""

    script = """
import sys
from darkroom_cli.connection import Connection
from darkroom_cli.download import _Stream
connection = Connection(sys.argv[1], "dk_secret", patience_seconds=1)
with _Stream(connection, "/api/v1/photos/1/original", {"Range": "bytes=1-"}) as answer:
    print(answer.read().decode())
connection.client.get_httpx_client().close()
"""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Bucket) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        printed = Command(programs).python(script, f"http://127.0.0.1:{server.server_address[1]}")
        server.shutdown()
        thread.join()

    assert printed == "photo\n"
    assert asked[0]["authorization"] == "Api-Key dk_secret"
    assert asked[1]["range"] == "bytes=1-"
    assert "dk_secret" not in str(asked[1])
