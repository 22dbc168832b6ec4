"""Mail: sent beside the request, by a real server, a silent one or none at all."""

import logging
import socketserver
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import factories
import pytest
from concurrency import wait_until
from pytest_django import Settings

from accounts import mail
from accounts.models import AuditEvent, Invitation, Library, User
from accounts.services import invitations

LETTER = {"to": "ada@example.org", "subject": "Hello", "text": "A word\nin two lines.\n"}


class Inbox(socketserver.ThreadingTCPServer):
    """An SMTP server of a few lines: keeps what it is sent, and refuses the address `refused@example.org`."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Talk)
        self.received: list[str] = []


class Talk(socketserver.StreamRequestHandler):
    server: Inbox

    def handle(self) -> None:
        self.say("220 inbox")
        while line := self.rfile.readline().decode().strip():
            if line.upper() == "DATA":
                self.say("354 go on")
                lines = iter(lambda: self.rfile.readline().decode().rstrip("\r\n"), ".")
                self.server.received.append("\n".join(lines))
                self.say("250 taken")
            elif line.upper() == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("550 nobody of that name" if "refused@" in line else "250 yes")

    def say(self, words: str) -> None:
        self.wfile.write(f"{words}\r\n".encode())


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    with Inbox() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def use(settings: Settings, port: int) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", port, 1


def test_a_letter_arrives_as_plain_text(settings: Settings, inbox: Inbox) -> None:
    use(settings, inbox.server_address[1])
    settings.DEFAULT_FROM_EMAIL = "Darkroom <darkroom@example.org>"
    assert mail.send_and_wait(**LETTER) is True
    head, body = inbox.received[0].split("\n\n", 1)
    assert 'Content-Type: text/plain; charset="utf-8"' in head
    assert "From: Darkroom <darkroom@example.org>" in head
    assert "To: ada@example.org" in head
    assert body == "A word\nin two lines."


def test_an_address_that_the_server_refuses(settings: Settings, inbox: Inbox, caplog: pytest.LogCaptureFixture) -> None:
    use(settings, inbox.server_address[1])
    assert mail.send_and_wait(**LETTER | {"to": "refused@example.org"}) is False
    assert caplog.messages == ["a mail was not sent: SMTPRecipientsRefused"]


def test_a_server_that_is_down(settings: Settings, closed_port: int, caplog: pytest.LogCaptureFixture) -> None:
    use(settings, closed_port)
    assert mail.send_and_wait(**LETTER) is False
    assert caplog.messages == ["a mail was not sent: ConnectionRefusedError"]


def test_a_server_that_hangs_is_waited_for_no_longer_than_the_setting_says(
    settings: Settings, silent_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    use(settings, silent_port)
    begin = time.monotonic()
    assert mail.send_and_wait(**LETTER) is False
    assert 0.9 < time.monotonic() - begin < 3
    wait_until(lambda: caplog.messages == ["a mail was not sent: SMTPServerDisconnected"], "nobody has said so")


def test_a_fault_of_ours_is_said_too(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    assert mail.send_and_wait(**LETTER | {"subject": "two\nlines"}) is False
    assert [(record.levelno, record.exc_info[0].__name__) for record in caplog.records] == [
        (logging.ERROR, "BadHeaderError")
    ]


def test_when_too_many_wait_the_next_is_refused_at_once(
    settings: Settings, silent_port: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    use(settings, silent_port)
    monkeypatch.setattr(mail, "_places", threading.BoundedSemaphore(2))
    waiting = [mail.send(**LETTER) for _ in range(2)]
    begin = time.monotonic()
    assert mail.send_and_wait(**LETTER) is False
    assert time.monotonic() - begin < 0.5
    assert caplog.messages[0].endswith("others are waiting for the mail server")
    assert [one.result(10) for one in waiting] == [False, False]


def test_while_the_process_ends_a_mail_is_refused_and_holds_no_place(
    settings: Settings, inbox: Inbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    use(settings, inbox.server_address[1])
    monkeypatch.setattr(mail, "_places", threading.BoundedSemaphore(1))
    ended = ThreadPoolExecutor(1)
    ended.shutdown()
    with monkeypatch.context() as ending:
        ending.setattr(mail, "_senders", ended)
        assert mail.send_and_wait(**LETTER) is False
    assert caplog.messages == ["a mail was not sent: the process is ending"]
    assert inbox.received == []
    assert mail.send_and_wait(**LETTER) is True


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("port", ["closed_port", "silent_port"])
def test_an_invitation_whose_mail_does_not_go_out_stays_and_says_so(
    port: str, settings: Settings, request: pytest.FixtureRequest
) -> None:
    use(settings, request.getfixturevalue(port))
    library: Library = factories.make_library()
    admin: User = factories.make_member(library, "admin")
    factories.make_member(library, "visitor")
    begin = time.monotonic()
    response = factories.client_of(admin).post(
        f"/api/v1/libraries/{library.pk}/invitations", {"email": "guest@example.org"}
    )
    assert time.monotonic() - begin < 4
    assert (response.status_code, response.json()["mail_sent"]) == (201, False)
    assert Invitation.objects.open().get().email == "guest@example.org"
    assert AuditEvent.objects.filter(action="user.invited").count() == 1


@pytest.mark.django_db(transaction=True)
def test_what_was_not_committed_is_not_mailed(
    settings: Settings, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(settings, inbox.server_address[1])
    library = factories.make_library()
    admin = factories.make_member(library, "admin")
    factories.make_member(library, "visitor")

    def fail(**_values: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(invitations.audit, "record", fail)
    with pytest.raises(RuntimeError):
        invitations.invite(actor=admin, library=library, email="guest@example.org")
    assert (Invitation.objects.count(), inbox.received) == (0, [])
