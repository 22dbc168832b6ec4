"""What ends a stream: what opened it, and the process."""

import signal
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import event_streams
import factories
import pytest
from concurrency import in_a_thread, wait_until
from django.db import transaction
from django.utils import timezone
from event_streams import QUICK, EventsProcess, bearer, key, numbers, tell, wait_for_number
from rest_framework_simplejwt.tokens import AccessToken

from accounts.models import Library, Membership, User
from accounts.services import api_keys, credentials, tickets, tokens, users
from photos.models import Event
from photos.services import events

pytestmark = pytest.mark.django_db(transaction=True)


def test_whoever_leaves_a_library_is_told_nothing_more_of_it(
    process: EventsProcess, library: Library, member: User
) -> None:
    second = factories.make_library()
    Membership.objects.create(library=second, user=member, role=factories.Role.objects.get(name="visitor"))
    stream = process.listen(bearer(member)).wait_until_open()
    Membership.objects.get(library=library, user=member).delete()
    stream.wait_for(lambda one: one.heard)
    assert [(one.kind, one.said["reason"]) for one in stream.heard] == [("reset", "access_changed")]
    tell(library, "not for you")
    tell(second, "for you")
    wait_for_number(stream, "for you")
    assert numbers(stream) == ["for you"]


def test_whoever_joins_a_library_is_told_to_read_anew(process: EventsProcess, library: Library) -> None:
    superuser = factories.make_user(is_superuser=True)
    stream = process.listen(bearer(superuser)).wait_until_open()
    elsewhere = process.listen(bearer(superuser), library=library.pk).wait_until_open()
    new = factories.make_library()
    stream.wait_for(lambda one: one.kinds == ["reset"])
    tell(new, "new")
    wait_for_number(stream, "new")
    # to whom it makes no difference nothing is said
    assert elsewhere.heard == []


ENDINGS: dict[str, Callable[[User], object]] = {
    "deactivated": lambda user: users.deactivate(user=user, actor=superuser()),
    "logged out everywhere": lambda user: tokens.revoke_all(user=user),
    "key revoked": lambda user: api_keys.revoke(keys=user.api_keys.all(), actor=user),
}


def superuser() -> User:
    return factories.make_user(is_superuser=True)


@pytest.mark.parametrize("how", ENDINGS)
def test_a_stream_ends_with_what_opened_it(process: EventsProcess, library: Library, member: User, how: str) -> None:
    headers = key(member, "photos.view") if how == "key revoked" else bearer(member)
    stream, other = process.listen(headers).wait_until_open(), process.listen(bearer(superuser())).wait_until_open()
    with transaction.atomic():
        ENDINGS[how](member)
    assert stream.has_ended.wait(10)
    assert [(one.kind, one.said) for one in stream.heard] == [("end", {"kind": "end", "reason": "credential_ended"})]
    tell(library, "too late")
    wait_for_number(other, "too late")
    assert numbers(stream) == []
    assert process.listen(headers).response.status_code == 401


def test_a_token_and_a_key_that_run_out_end_their_streams(
    process: EventsProcess, library: Library, member: User
) -> None:
    token = AccessToken(tokens.begin(user=member).access)
    token.set_exp(lifetime=timedelta(seconds=3))
    soon = timezone.now() + timedelta(seconds=3)
    streams = [
        process.listen({"Authorization": f"Bearer {token}"}).wait_until_open(),
        process.listen(key(member, "photos.view", expires_at=soon)).wait_until_open(),
        process.listen(ticket=tickets.issue(credential=credentials.shown(user=member, auth=token)).text),
    ]
    for stream in streams:
        assert stream.has_ended.wait(10)
        assert [one.said["reason"] for one in stream.heard] == ["credential_ended"]
    assert timezone.now() >= soon - timedelta(seconds=1)


def test_silence_is_broken_by_comments(process: EventsProcess, member: User) -> None:
    stream = process.listen(bearer(member)).wait_until_open()
    stream.wait_for(lambda one: one.comments >= 3)
    assert stream.heard == []


# the process ends, or is killed


def test_at_its_end_it_says_so_and_who_comes_back_has_missed_nothing(
    process_environment: dict[str, str], tmp_path: Path, library: Library, member: User
) -> None:
    headers, port = bearer(member), event_streams.free_port()
    environment = process_environment | QUICK
    with event_streams.running(environment, tmp_path, port=port) as first:
        streams = [first.listen(headers).wait_until_open() for _ in range(3)]
        tell(library, 1)
        for stream in streams:
            wait_for_number(stream, 1)
        begun = time.monotonic()
        first.process.send_signal(signal.SIGTERM)
        for stream in streams:
            assert stream.has_ended.wait(10)
            assert (stream.kinds[-1], stream.heard[-1].said["reason"]) == ("end", "closing")
        assert first.process.wait(10) == 0
        assert time.monotonic() - begun < 8
    tell(library, 2)
    with event_streams.running(environment, tmp_path, port=port) as second:
        back = second.listen({**headers, "Last-Event-ID": str(streams[0].last_id)})
        tell(library, 3)
        wait_for_number(back, 3)
        assert numbers(back) == [2, 3]


def test_killed_in_the_middle_it_loses_nothing(
    process_environment: dict[str, str], tmp_path: Path, library: Library, member: User
) -> None:
    headers, port, heard, after = bearer(member), event_streams.free_port(), [], events.last_position()
    is_over = False

    def write() -> None:
        number = 0
        while not is_over:
            tell(library, number)
            number += 1
            time.sleep(0.005)
        tell(library, "end")

    writing = in_a_thread(write)
    for place in range(3):
        with event_streams.running(process_environment | QUICK, tmp_path, port=port) as running:
            stream = running.listen({**headers, "Last-Event-ID": str(after)})
            if place < 2:
                stream.wait_for(lambda one: len(numbers(one)) > 20)
                running.process.kill()
                assert stream.has_ended.wait(10)
            else:
                is_over = True
                writing.result(10)
                wait_for_number(stream, "end")
            heard += numbers(stream)
            after = stream.last_id
    assert heard[:-1] == list(range(len(heard) - 1))
    assert len(heard) > 60


def test_two_processes_tell_the_same(
    process: EventsProcess, process_environment: dict[str, str], tmp_path: Path, library: Library, member: User
) -> None:
    headers = bearer(member)
    with event_streams.running(process_environment | QUICK, tmp_path) as other:
        streams = [one.listen(headers).wait_until_open() for one in (process, other)]
        writing = [
            in_a_thread(lambda place=place: [tell(library, [place, n]) for n in range(100)]) for place in range(3)
        ]
        for one in writing:
            one.result(60)
        tell(library, "end")
        for stream in streams:
            wait_for_number(stream, "end")
        assert len(streams[0].heard) == 301
        assert streams[0].heard == streams[1].heard
        # whoever was at the one goes on at the other
        back = other.listen({**headers, "Last-Event-ID": str(streams[0].heard[99].id)})
        wait_for_number(back, "end")
        assert back.heard == streams[0].heard[100:]


def test_an_event_comes_at_once_and_without_its_hint_a_little_later(
    process: EventsProcess, library: Library, member: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = process.listen(bearer(member)).wait_until_open()

    def seconds(number: int) -> float:
        begun = time.monotonic()
        tell(library, number)
        wait_for_number(stream, number)
        return time.monotonic() - begun

    assert min(seconds(number) for number in range(10)) < 0.5
    monkeypatch.setattr(events, "_wake", lambda: None)
    assert seconds(10) < 5
    wait_until(lambda: not Event.objects.filter(position=None).exists(), "an event has no position")
