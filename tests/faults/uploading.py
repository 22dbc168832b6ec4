"""Uploads over HTTP, as clients make them: what was answered with 201 is written down at once."""

import hashlib
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import requests

from faults.pictures import Picture

TIMEOUT_SECONDS = 60.0
# a client that was refused by trouble of the server's sends the same bytes again
RETRY_SECONDS = 0.5
GIVE_UP_SECONDS = 300.0
TOKEN_SECONDS = 200.0
ACCEPTED = frozenset({200, 201})


@dataclass(frozen=True, slots=True)
class Upload:
    """One request: when it began (monotonic), how long it took, and its status; 0 where no answer came.

    A paced one came at its time; others came together, as fast as they were taken in, and waited for each other.
    """

    t: float
    seconds: float
    status: int
    is_paced: bool


class Acknowledged:
    """The file of what the server has promised to keep: photo id, SHA-256, library id, and `deleted` where we did."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.path.touch()
        self._lock = threading.Lock()

    def add(self, *, photo: str, sha256: str, library: str, is_deleted: bool = False) -> None:
        """Write one down."""
        fields = [photo, sha256, library, *(["deleted"] if is_deleted else [])]
        with self._lock, self.path.open("a") as file:
            file.write("\t".join(fields) + "\n")

    def photos(self) -> list[str]:
        """Give the ids of the photos that must be there."""
        return [row[0] for row in self._last_words() if not row[3:]]

    def forget(self) -> None:
        """Begin anew: all of them were deleted on purpose."""
        with self._lock:
            self.path.write_text("")

    def for_prove(self) -> Path:
        """Give a file with one line for each photo: what was deleted after it was acknowledged is deleted."""
        path = self.path.with_name("promised.tsv")
        path.write_text("".join("\t".join(row) + "\n" for row in self._last_words()))
        return path

    def _last_words(self) -> list[list[str]]:
        rows = [line.split("\t") for line in self.path.read_text().splitlines()]
        last: dict[str, list[str]] = {}
        for row in rows:
            # an id is never used again: two who are told of one photo may be heard after its deletion
            if row[0] not in last or row[3:]:
                last[row[0]] = row
        return list(last.values())


class Client:
    """One who is logged in by JWT, and logs in again before the token expires."""

    def __init__(self, url: str, *, email: str, password: str) -> None:
        self.url = url
        self.session = requests.Session()
        self._lock = threading.Lock()
        self._login = {"email": email, "password": password}
        self._refresh = ""
        self._renewed_at = 0.0

    def authorization(self) -> dict[str, str]:
        """Give the header, fresh enough for one more request."""
        with self._lock:
            if time.monotonic() - self._renewed_at > TOKEN_SECONDS:
                self._insist_on_renewal()
            return {"Authorization": self._bearer}

    def _insist_on_renewal(self) -> None:
        deadline = time.monotonic() + GIVE_UP_SECONDS
        while True:
            try:
                return self._renew()
            except requests.RequestException:
                if time.monotonic() > deadline:
                    raise
                # a token whose answer was lost is used up: log in anew
                self._refresh = ""
                time.sleep(RETRY_SECONDS)

    def _renew(self) -> None:
        path, body = (
            ("auth/token/refresh", {"refresh": self._refresh}) if self._refresh else ("auth/token", self._login)
        )
        answer = requests.post(f"{self.url}/api/v1/{path}", json=body, timeout=TIMEOUT_SECONDS)
        answer.raise_for_status()
        self._bearer, self._refresh = f"Bearer {answer.json()['access']}", answer.json()["refresh"]
        self._renewed_at = time.monotonic()


class Uploader:
    """A few threads that upload photos, at most so many a second in all."""

    def __init__(self, client: Client, *, library: str, acknowledged: Acknowledged, threads: int = 3) -> None:
        self.client = client
        self._library = library
        self._acknowledged = acknowledged
        self._threads = threads
        self._lock = threading.Lock()
        self.requests: list[Upload] = []
        self.sources: dict[str, str] = {}
        # when (monotonic), and what was never taken in
        self.given_up: list[tuple[float, str]] = []

    def start(self, pictures: Iterable[Picture], *, per_second: float | None = None) -> "Load":
        """Begin to upload; the load is waited for by its `join`."""
        return Load(self, pictures, per_second=per_second, threads=self._threads)

    def upload(self, picture: Picture, *, is_paced: bool = False) -> str | None:
        """Upload one photo, again and again while the server is in trouble; gives its id."""
        deadline = time.monotonic() + GIVE_UP_SECONDS
        while time.monotonic() < deadline:
            answer = self._post(picture, is_paced=is_paced)
            if answer is not None and answer.status_code in ACCEPTED:
                photo = answer.json()["id"]
                # 200: an earlier request was taken in, and its answer was lost
                digest = hashlib.sha256(picture.data).hexdigest()
                self._acknowledged.add(photo=photo, sha256=digest, library=self._library)
                self.sources[photo] = picture.source
                return photo
            if answer is not None and answer.status_code < 500:
                raise RuntimeError(f"{picture.source} was refused: {answer.status_code} {answer.text[:300]}")
            time.sleep(RETRY_SECONDS)
        self.given_up.append((time.monotonic(), picture.name))
        return None

    def since(self, since: float, until: float | None = None) -> list[Upload]:
        """Give the requests that began in a span of time."""
        return [one for one in list(self.requests) if since <= one.t and (until is None or one.t < until)]

    def _post(self, picture: Picture, *, is_paced: bool) -> requests.Response | None:
        headers = self.client.authorization()
        started = time.monotonic()
        try:
            answer = requests.post(
                f"{self.client.url}/api/v1/photos",
                data={"library": self._library},
                files={"file": (picture.name, picture.data)},
                headers=headers,
                timeout=TIMEOUT_SECONDS,
            )
        except requests.RequestException:
            answer = None
        status = answer.status_code if answer is not None else 0
        with self._lock:
            self.requests.append(Upload(started, time.monotonic() - started, status, is_paced))
        return answer


def unexplained(uploaders: Iterable[Uploader], *, since: float, may_refuse: bool) -> list[str]:
    """Describe what went wrong with uploads since then; with `may_refuse`, only what was never taken in."""
    found = []
    for uploader in uploaders:
        found += [f"{name} was never taken in" for t, name in uploader.given_up if t >= since]
        if not may_refuse:
            found += [
                f"an upload was answered with {one.status or 'nothing'} after {one.seconds:.1f} s"
                for one in uploader.since(since)
                if one.status not in ACCEPTED
            ]
    return found


class Load:
    """Uploads that are under way."""

    def __init__(
        self, uploader: Uploader, pictures: Iterable[Picture], *, per_second: float | None, threads: int
    ) -> None:
        self._uploader = uploader
        self._pictures: Iterator[Picture] = iter(pictures)
        self._lock = threading.Lock()
        self._pause = 1 / per_second if per_second else 0.0
        self._next_at = time.monotonic()
        self._stop = threading.Event()
        self.photos: list[str] = []
        self.errors: list[BaseException] = []
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    @property
    def is_running(self) -> bool:
        """Whether there is more to upload."""
        return any(thread.is_alive() for thread in self._threads)

    def end(self) -> list[str]:
        """Upload no more where there is no end to it, and `join`."""
        if self._pause:
            self._stop.set()
        return self.join()

    def join(self) -> list[str]:
        """Wait for the last answer; gives the ids of the photos."""
        for thread in self._threads:
            thread.join()
        if self.errors:
            raise self.errors[0]
        return self.photos

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                picture = self._next()
                if picture is None:
                    return
                photo = self._uploader.upload(picture, is_paced=bool(self._pause))
                if photo is not None:
                    self.photos.append(photo)
        except BaseException as error:  # noqa: BLE001 - said by `join`, in the thread that asks
            self.errors.append(error)

    def _next(self) -> Picture | None:
        with self._lock:
            self._stop.wait(max(0.0, self._next_at - time.monotonic()))
            self._next_at = max(self._next_at, time.monotonic() - 1) + self._pause
            return None if self._stop.is_set() else next(self._pictures, None)
