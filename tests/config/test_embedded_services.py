"""The embedded PostgreSQL and Redis: started, found, stopped, killed and started again."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg2
import pytest
import redis

from config import embedded

REPOSITORY = Path(__file__).resolve().parents[2]
BOTH = frozenset({embedded.POSTGRES, embedded.REDIS})


@pytest.fixture
def var_dir() -> Iterator[Path]:
    """A VAR_DIR that any user may pass through, and that is empty afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="darkroom-test-"))
    folder.chmod(0o711)
    yield folder
    embedded.remove(folder)
    assert list(folder.iterdir()) == []
    folder.rmdir()


def query(services: embedded.Services, statement: str) -> list[tuple]:
    """Run one statement and commit it."""
    with contextlib.closing(psycopg2.connect(services.database_url)) as connection, connection:
        cursor = connection.cursor()
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


@contextlib.contextmanager
def redis_of(services: embedded.Services) -> Iterator[redis.Redis]:
    """A client that is closed again."""
    client = redis.Redis.from_url(services.redis_url, decode_responses=True)
    try:
        yield client
    finally:
        client.close()


def state_of(var_dir: Path) -> dict:
    return json.loads((var_dir / "services" / "state.json").read_text())


def kill(var_dir: Path, name: str) -> None:
    """End a server the hard way, and wait until it has ended."""
    process = psutil.Process(state_of(var_dir)[name]["pid"])
    process.kill()
    deadline = time.monotonic() + 10
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_both_start_and_are_what_production_uses(var_dir: Path) -> None:
    services = embedded.start(var_dir)

    assert services.started == BOTH
    assert query(services, "SHOW server_version_num")[0][0].startswith("18")
    query(services, "CREATE EXTENSION vector")
    assert query(services, "SELECT '[1,2]'::halfvec(2) <-> '[1,0]'::halfvec(2)") == [(2.0,)]
    assert query(services, "SELECT current_database(), current_user, current_setting('fsync')") == [
        ("darkroom", "darkroom", "on")
    ]
    assert query(services, "SHOW timezone") == [("UTC",)]
    assert query(services, "SHOW server_encoding") == [("UTF8",)]
    with redis_of(services) as client:
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        assert client.config_get("save") == {"save": ""}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_a_second_start_attaches(var_dir: Path) -> None:
    first = embedded.start(var_dir)
    pids = {name: state_of(var_dir)[name]["pid"] for name in BOTH}

    second = embedded.start(var_dir)

    assert second.started == frozenset()
    assert (second.database_url, second.redis_url) == (first.database_url, first.redis_url)
    assert embedded.running(var_dir) == second
    assert {name: state_of(var_dir)[name]["pid"] for name in BOTH} == pids


def test_stop_and_start_keep_data_ports_and_passwords(var_dir: Path) -> None:
    first = embedded.start(var_dir)
    query(first, "CREATE TABLE kept AS SELECT 7 AS number")
    with redis_of(first) as client:
        client.set("kept", "7")

    assert embedded.stop(var_dir) == BOTH
    assert embedded.running(var_dir) is None
    assert embedded.stop(var_dir) == frozenset()
    with pytest.raises(psycopg2.OperationalError):
        query(first, "SELECT 1")
    second = embedded.start(var_dir)

    assert second == first
    assert query(second, "SELECT number FROM kept") == [(7,)]
    with redis_of(second) as client:
        assert client.get("kept") == "7"


def test_one_of_the_two_can_be_started_and_stopped_alone(var_dir: Path) -> None:
    services = embedded.start(var_dir, only=[embedded.REDIS])

    assert services.started == {embedded.REDIS}
    assert services.database_url is None
    assert not (var_dir / "services" / "postgres").exists()
    assert embedded.running(var_dir).redis_url == services.redis_url
    assert embedded.stop(var_dir, only=[embedded.POSTGRES]) == frozenset()
    assert embedded.running(var_dir).redis_url == services.redis_url


def test_nothing_runs_where_nothing_was_started(var_dir: Path) -> None:
    assert embedded.running(var_dir) is None
    assert embedded.stop(var_dir) == frozenset()
    assert list(var_dir.iterdir()) == []


def test_two_starts_at_once_start_each_server_once(var_dir: Path) -> None:
    program = (
        "import sys; from config import embedded; services = embedded.start(sys.argv[1]); "
        "print(services.database_url, services.redis_url, *sorted(services.started))"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", program, var_dir], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=60)[0].split() for process in both]

    assert [process.returncode for process in both] == [0, 0]
    assert said[0][:2] == said[1][:2]
    assert sorted(said[0][2:] + said[1][2:]) == sorted(BOTH)


def test_stop_leaves_the_servers_of_another_var_dir_alone(var_dir: Path) -> None:
    (var_dir / "one").mkdir()
    (var_dir / "two").mkdir()
    try:
        embedded.start(var_dir / "one", only=[embedded.REDIS])
        other = embedded.start(var_dir / "two", only=[embedded.REDIS])

        embedded.stop(var_dir / "one")

        assert embedded.running(var_dir / "one") is None
        with redis_of(other) as client:
            assert client.ping() is True
    finally:
        for name in ("one", "two"):
            embedded.remove(var_dir / name)
            (var_dir / name).rmdir()


def test_a_killed_postmaster_comes_back_with_what_was_committed(var_dir: Path) -> None:
    first = embedded.start(var_dir)
    query(first, "CREATE TABLE kept AS SELECT 7 AS number")
    with contextlib.closing(psycopg2.connect(first.database_url)) as session:
        session.cursor().execute("SELECT 1")  # a child that is there when its parent is killed
        kill(var_dir, embedded.POSTGRES)

        assert embedded.running(var_dir).database_url is None
        second = embedded.start(var_dir)

    assert second.started == {embedded.POSTGRES}
    assert query(second, "SELECT number FROM kept") == [(7,)]


def test_a_killed_redis_comes_back_with_what_it_answered(var_dir: Path) -> None:
    first = embedded.start(var_dir, only=[embedded.REDIS])
    with redis_of(first) as client:
        client.set("kept", "7")
    kill(var_dir, embedded.REDIS)

    second = embedded.start(var_dir, only=[embedded.REDIS])

    assert second.started == {embedded.REDIS}
    with redis_of(second) as client:
        assert client.get("kept") == "7"


def test_a_stale_process_id_that_is_now_another_programs_is_no_obstacle(var_dir: Path) -> None:
    """As after a reboot: the id in postmaster.pid belongs to a program of PostgreSQL's own user."""
    embedded.start(var_dir, only=[embedded.POSTGRES])
    data = var_dir / "services" / "postgres"
    recorded = (data / "postmaster.pid").read_text()
    embedded.stop(var_dir)
    bystander = subprocess.Popen(["sleep", "60"], user=data.stat().st_uid)
    try:
        (data / "postmaster.pid").write_text(f"{bystander.pid}\n{recorded.split(chr(10), 1)[1]}")
        os.chown(data / "postmaster.pid", data.stat().st_uid, data.stat().st_gid)
        state = state_of(var_dir)
        state["postgres"]["pid"] = bystander.pid
        (var_dir / "services" / "state.json").write_text(json.dumps(state))

        assert embedded.running(var_dir) is None
        services = embedded.start(var_dir, only=[embedded.POSTGRES])

        assert services.started == {embedded.POSTGRES}
        assert query(services, "SELECT 1") == [(1,)]
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_port_that_was_taken_meanwhile_is_changed(var_dir: Path) -> None:
    embedded.start(var_dir)
    embedded.stop(var_dir)
    ports = {name: state_of(var_dir)[name]["port"] for name in BOTH}
    with contextlib.ExitStack() as taken:
        for port in ports.values():
            listener = taken.enter_context(socket.socket())
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
            listener.listen()
        services = embedded.start(var_dir)

        assert query(services, "SELECT 1") == [(1,)]
        with redis_of(services) as client:
            assert client.ping() is True
        assert {state_of(var_dir)[name]["port"] for name in BOTH}.isdisjoint(ports.values())


def test_servers_whose_state_file_was_deleted_are_taken_over(var_dir: Path) -> None:
    first = embedded.start(var_dir)
    query(first, "CREATE TABLE kept AS SELECT 7 AS number")
    old = [psutil.Process(state_of(var_dir)[name]["pid"]) for name in BOTH]
    (var_dir / "services" / "state.json").unlink()

    second = embedded.start(var_dir)

    assert second.started == BOTH
    assert second.database_url != first.database_url  # a new password
    assert query(second, "SELECT number FROM kept") == [(7,)]
    assert all(not one.is_running() or one.status() == psutil.STATUS_ZOMBIE for one in old)


def test_a_deleted_var_dir_begins_empty_although_its_servers_run(var_dir: Path) -> None:
    first = embedded.start(var_dir)
    query(first, "CREATE TABLE gone AS SELECT 7 AS number")
    old = [psutil.Process(state_of(var_dir)[name]["pid"]) for name in BOTH]
    shutil.rmtree(var_dir / "services")

    second = embedded.start(var_dir)

    assert query(second, "SELECT to_regclass('gone')") == [(None,)]
    assert all(not one.is_running() or one.status() == psutil.STATUS_ZOMBIE for one in old)


def test_passwords_are_needed_and_seen_by_nobody_else(var_dir: Path) -> None:
    services = embedded.start(var_dir)
    state = state_of(var_dir)

    assert (var_dir / "services" / "state.json").stat().st_mode & 0o777 == 0o600
    for name in BOTH:
        arguments = psutil.Process(state[name]["pid"]).cmdline()
        assert not any(state[name]["password"] in argument for argument in arguments)
    wrong_address = services.database_url.replace(state["postgres"]["password"], "wrong")
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(wrong_address)
    with (
        contextlib.closing(redis.Redis(host="127.0.0.1", port=state["redis"]["port"], retry=None)) as client,
        pytest.raises(redis.AuthenticationError),
    ):
        client.ping()


def test_both_listen_on_the_loopback_interface_alone(var_dir: Path) -> None:
    embedded.start(var_dir)
    listening = {
        connection.laddr.ip
        for name in BOTH
        for connection in psutil.Process(state_of(var_dir)[name]["pid"]).net_connections()
        if connection.status == psutil.CONN_LISTEN
    }

    assert listening == {"127.0.0.1"}


def test_data_that_does_not_open_is_reported_with_the_servers_own_words(var_dir: Path) -> None:
    embedded.start(var_dir, only=[embedded.POSTGRES])
    embedded.stop(var_dir)
    (var_dir / "services" / "postgres" / "global" / "pg_control").unlink()

    with pytest.raises(embedded.EmbeddedServiceError, match="could not open file"):
        embedded.start(var_dir, only=[embedded.POSTGRES])

    assert embedded.running(var_dir) is None


def test_services_of_a_killed_session_are_cleared_away() -> None:
    program = (
        "import os, signal; from config import embedded; from config.embedded import scratch; "
        "folder = scratch.make_folder(); embedded.start(folder); print(folder, flush=True); "
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, timeout=60, check=False
    )
    folder = Path(killed.stdout.strip())

    assert killed.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 30
    while folder.exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert not [one for one in psutil.process_iter(["cmdline"]) if str(folder) in " ".join(one.info["cmdline"] or [])]
