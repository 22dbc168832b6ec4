"""A whole Darkroom of processes: server, workers, beats, PostgreSQL and Redis, in a folder of its own."""

import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import requests

from config.embedded import scratch
from faults.database import Database
from faults.events import HISTORY, INJECTIONS, EventFile
from faults.mounts import mount_store, unmount_store
from faults.orders import OrderBook
from faults.pictures import Pictures
from faults.sabotage import Sabotage
from faults.services import Services, wait_for
from faults.storing import Store
from faults.supervisor import Managed, Supervisor
from faults.uploading import Acknowledged, Client, Uploader

REPOSITORY = Path(__file__).resolve().parents[2]
EMAIL, PASSWORD = "admin@example.com", "a long enough password"
START_SECONDS = 180.0
# of a program that is waited for: longer than any of them takes
PROGRAM_SECONDS = 1800.0
HOST = "faults"
# longer than a worker takes to load a model
QUIET_SECONDS = 10.0
# the one task of the plain pipeline
PLAIN_TASK = "plain"
# where Celery's transport keeps what was taken and not acknowledged, and when each comes back
UNACKED = ("unacked", "unacked_index", "unacked_mutex")
# name -> queues, with one process each: a fault that kills a worker kills no run that it does not mean
WORKERS = {
    "ingest1": "ingest",
    "ingest2": "ingest",
    "faces1": "faces,embeddings",
    "people1": "people,maintenance",
    "people2": "people,maintenance",
}


@dataclass(frozen=True, slots=True)
class Timing:
    """The seconds that recovery is made of, as the settings are told them."""

    lease: int = 60
    sweep: int = 30
    stage_limit: int = 50
    infrastructure_wait: float = 10
    # an upload is given up after this: the end of the default hour nobody could wait for, and none here takes a minute
    upload_sweep: int = 120
    # added to every limit that a fault is judged by
    slack: float = 0

    @property
    def environment(self) -> dict[str, str]:
        """The settings' variables."""
        return {
            "LEDGER_LEASE_SECONDS": str(self.lease),
            "LEDGER_SWEEP_SECONDS": str(self.sweep),
            "STAGE_TASK_TIME_LIMIT": str(self.stage_limit),
            # as in the default settings: what was claimed last has time to end
            "LEDGER_TASK_SECONDS": str(self.stage_limit * 3 // 5),
            "DECODE_WALL_SECONDS": str(self.stage_limit * 3 // 5),
            "LEDGER_INFRASTRUCTURE_WAIT_SECONDS": str(self.infrastructure_wait),
            "UPLOAD_SWEEP_SECONDS": str(self.upload_sweep),
        }


# for a run of minutes: what is waited for is the same, for a shorter time; and other tests may want the processor too
SHORT = Timing(lease=24, sweep=5, stage_limit=20, infrastructure_wait=2, upload_sweep=60, slack=60)


@dataclass(frozen=True, slots=True)
class Parts:
    """What an installation is made of. A plain one has the pipeline of `faults.plain`, and nobody to sweep it."""

    workers: Mapping[str, str] = field(default_factory=lambda: WORKERS)
    beats: Sequence[str] = ("beat1", "beat2")
    with_faces: bool = True
    is_plain: bool = False


ALL = Parts()
PLAIN = Parts(beats=(), is_plain=True)


class Installation:
    """Everything that runs, and what tells what it did."""

    def __init__(
        self,
        folder: Path,
        *,
        timing: Timing,
        models_dir: Path,
        pictures: Pictures,
        is_mounting: bool = False,
        parts: Parts = ALL,
    ) -> None:
        self.folder = folder
        self.parts = parts
        self.pictures = pictures
        self.timing = timing
        self.folder.mkdir(parents=True, exist_ok=True)
        # deleted, with every server below it, when this process ends, however it ends
        self._var_dir = scratch.make_folder()
        self.store_folder = self._var_dir / "photos"
        self.has_own_file_system = is_mounting and mount_store(self.store_folder)
        self.services = Services(self._var_dir)
        self.orders = OrderBook(folder)
        self.injections = EventFile(folder / INJECTIONS)
        self.history = EventFile(folder / HISTORY)
        self.store = Store(folder)
        self.sabotage = Sabotage(folder)
        # nobody sweeps a plain pipeline: it moves by messages alone, and is at rest when none is left
        messages = self.count_messages if parts.is_plain else None
        self.database = Database(lambda: self.services.database_url, messages=messages)
        self.supervisor = Supervisor(folder)
        self.acknowledged = Acknowledged(folder / "acknowledged.tsv")
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = self._environment(models_dir)
        self.library = ""
        # all that ever uploaded here
        self.uploaders: list[Uploader] = []

    def start(self) -> None:
        """Prepare the database, start every process and wait until all of them are there."""
        prepared = self.manage("-m", "faults.prepare", EMAIL, PASSWORD, *(["faces"] if self.parts.with_faces else []))
        if prepared.returncode != 0:
            raise RuntimeError(f"the installation could not be prepared:\n{prepared.stderr[-4000:]}")
        self.library = prepared.stdout.split()[-1]
        self.launch_server("web", self.port)
        for name, queues in self.parts.workers.items():
            self.launch_worker(name, queues)
        for name in self.parts.beats:
            self.launch_beat(name)
        wait_for(lambda: _serves(self.url), seconds=START_SECONDS, what="the server answers")
        self.wait_for_workers(seconds=START_SECONDS)
        self.uploader = self._uploader(self.url)

    def launch(self, name: str, arguments: list[str], **environment: str) -> Managed:
        """Start a Python program of the installation and keep it alive."""
        managed = Managed(
            name=name,
            command=[sys.executable, *arguments],
            environment=self.environment | environment,
            directory=REPOSITORY,
            log=self.folder / "log" / f"{name}.log",
        )
        managed.log.parent.mkdir(exist_ok=True)
        return self.supervisor.add(managed)

    def launch_server(self, name: str, port: int, **environment: str) -> Managed:
        """Start a server."""
        web = ["-m", "gunicorn", "config.wsgi:application", "--config", "python:config.gunicorn"]
        return self.launch(name, [*web, "--bind", f"127.0.0.1:{port}"], **environment)

    @contextmanager
    def second_server(self, **environment: str) -> Iterator[str]:
        """Have another server for as long as the block runs, with other settings; gives its address."""
        port = _free_port()
        url = f"http://127.0.0.1:{port}"
        self.launch_server("web2", port, **environment)
        try:
            wait_for(lambda: _serves(url), seconds=START_SECONDS, what="the second server answers")
            yield url
        finally:
            self.supervisor.remove("web2")

    def launch_worker(self, name: str, queues: str, *, processes: int = 1, **environment: str) -> Managed:
        """Start a worker under a name of its own."""
        arguments = ["-m", "celery", "-A", "config", "worker", "-Q", queues, "-n", f"{name}@{HOST}"]
        return self.launch(name, [*arguments, "-c", str(processes)], **environment)

    def launch_beat(self, name: str, **environment: str) -> Managed:
        """Start a beat; each has a schedule of its own."""
        schedule = ["--pidfile", "", "--schedule", str(self._var_dir / f"{name}-schedule")]
        return self.launch(name, ["-m", "celery", "-A", "config", "beat", *schedule], **environment)

    def feed(self, count: int, *, url: str = "", library: str = "") -> list[str]:
        """Upload some photos, as fast as they are taken in, here or to another server or library; gives their ids."""
        uploader = self._uploader(url or self.url, library) if url or library else self.uploader
        return uploader.start(islice(self.pictures, count)).join()

    def hints(self, stage: str, photos: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Give the messages that tell of a stage's work on photos, as arguments of Celery's `send_task`.

        Of Darkroom one, which may name nobody; of the plain pipeline one for each photo's run of that stage.
        """
        if not self.parts.is_plain:
            return [{"name": stage, "kwargs": {"v": 1, "ids": list(photos)}}]
        rows = self.database.rows(
            "SELECT photo_id::text, stage, version FROM processing_stagerun "
            "WHERE stage = %s AND photo_id = ANY(%s::uuid[]) ORDER BY photo_id, version",
            stage,
            list(photos),
        )
        return [{"name": PLAIN_TASK, "args": list(row)} for row in rows]

    def count_messages(self) -> dict[str, int]:
        """Count the messages that lie in each queue, and under `unacked` those that a worker has, or had when it died.

        Raises redis.RedisError where Redis is down.
        """
        client, queues = self.services.redis(), self._queues
        counts = {queue: client.llen(queue) for queue in queues}
        return {**counts, UNACKED[0]: client.hlen(UNACKED[0])}

    def forget_messages(self) -> None:
        """Throw all messages away, also those that would come back after the visibility timeout."""
        self.services.redis().delete(*self._queues, *UNACKED)

    @property
    def _queues(self) -> list[str]:
        return sorted({queue for queues in self.parts.workers.values() for queue in queues.split(",")})

    @property
    def workers(self) -> list[Managed]:
        """The workers that are kept alive, in the order in which they were started."""
        return [one for one in list(self.supervisor.managed.values()) if " worker " in " ".join(one.command)]

    def patience(self, seconds: float) -> float:
        """Say how long to wait for what a pipeline does by itself: of a plain one nothing is expected."""
        return min(seconds, QUIET_SECONDS) if self.parts.is_plain else seconds

    def wait_for_workers(self, *, seconds: float = START_SECONDS) -> float:
        """Wait until every worker runs and says that it is there; gives how long it took."""
        return wait_for(self._workers_are_there, seconds=seconds, what="all workers are there", every=0.5)

    def manage(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the installation to its end, past the proxies: it asks, and suffers nothing.

        Raises RuntimeError where it does not come to an end.
        """
        direct = {"DATABASE_URL": self.services.database_url, "REDIS_URL": self.services.redis_url}
        try:
            return subprocess.run(
                [sys.executable, *arguments],
                cwd=REPOSITORY,
                env=self.environment | direct | environment,
                capture_output=True,
                text=True,
                check=False,
                timeout=PROGRAM_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            said = (error.stderr or b"")[-2000:]
            raise RuntimeError(f"{' '.join(arguments)} did not end in {error.timeout:.0f} s: {said!r}") from error

    def run(self, *arguments: str) -> str:
        """Run a program of the installation that must succeed; gives what it printed."""
        done = self.manage(*arguments)
        if done.returncode != 0:
            raise RuntimeError(
                f"{' '.join(arguments)} ended with {done.returncode}: {done.stdout}{done.stderr[-2000:]}"
            )
        return done.stdout

    def talk(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start a program of the installation that is asked line by line."""
        direct = {"DATABASE_URL": self.services.database_url, "REDIS_URL": self.services.redis_url}
        log = (self.folder / "log" / "talk.log").open("a")
        with log:
            return subprocess.Popen(
                [sys.executable, *arguments],
                cwd=REPOSITORY,
                env=self.environment | direct,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def page(self, path: str) -> str:
        """Read a page that operators' programs read, such as /metrics; empty where nobody answers."""
        token = {"X-Internal-Token": self.environment["INTERNAL_TOKEN"]}
        try:
            return requests.get(f"{self.url}{path}", headers=token, timeout=30).text
        except requests.RequestException:
            return ""

    def close(self, *, keep_data: bool = False) -> None:
        """Stop everything; the logs and the events stay. With `keep_data` the stored objects are copied beside them."""
        self.supervisor.close()
        if keep_data:
            shutil.copytree(self.store_folder, self.folder / "photos", dirs_exist_ok=True)
        self.services.close()
        if self.has_own_file_system:
            unmount_store(self.store_folder)  # or its folder could not be deleted

    def _uploader(self, url: str, library: str = "") -> Uploader:
        client = Client(url, email=EMAIL, password=PASSWORD)
        uploader = Uploader(client, library=library or self.library, acknowledged=self.acknowledged)
        self.uploaders.append(uploader)
        return uploader

    def _workers_are_there(self) -> bool:
        wanted = {f"{one.name}@{HOST}" for one in self.workers}
        return all(one.is_alive for one in self.workers) and wanted <= self.database.live_workers()

    def _environment(self, models_dir: Path) -> dict[str, str]:
        # settings of whoever calls the harness are not for its installation
        ours = re.compile("DATABASE_|REDIS_|DARKROOM_|DJANGO_|LEDGER_|FAULTS|S3_|STORAGE_|PHOTOS|CACHE_")
        inherited = {name: value for name, value in os.environ.items() if not ours.match(name)}
        store = self.store_folder
        return inherited | {
            **self.services.environment,
            **self.timing.environment,
            "DJANGO_SETTINGS_MODULE": "faults.settings",
            "PYTHONPATH": os.pathsep.join([str(REPOSITORY / "tests"), str(REPOSITORY)]),
            "PYTHONUNBUFFERED": "1",
            "FAULTS_DIR": str(self.folder),
            # what a killed process leaves of its temporary files goes with the rest
            "TMPDIR": str(_made(self._var_dir / "tmp")),
            "FAULTS_PIPELINE": "plain" if self.parts.is_plain else "",
            "VAR_DIR": str(self._var_dir),
            "ORIGINALS_DIR": str(store / "originals"),
            "RENDITIONS_DIR": str(store / "renditions"),
            "MODELS_DIR": str(models_dir),
            "DARKROOM_ENV_FILE": "",
            "ALLOWED_HOSTS": "127.0.0.1",
            "SECURE_SSL_REDIRECT": "false",
            **{name: secrets.token_urlsafe(64) for name in ("SECRET_KEY", "JWT_SIGNING_KEY", "INTERNAL_TOKEN")},
            "DEVICE": "cpu",
            # two cores for everything: a child's libraries shall not start a thread for each of them
            "OMP_NUM_THREADS": "1",
            "METRICS_PORT": str(_free_port()),
        }


def _serves(url: str) -> bool:
    try:
        return requests.get(f"{url}/live", timeout=5).status_code == 200
    except requests.RequestException:
        return False


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]
