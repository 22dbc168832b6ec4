"""Photos and runs as rows, for tests of the ledger that need no pixels."""

import hashlib
import itertools
from collections.abc import Callable

import pytest
from django.db.models.functions import Now

from accounts.models import Library
from photos.models import Photo
from processing.models import RunState, StageRun

_numbers = itertools.count()


@pytest.fixture
def library(db: None) -> Library:
    """A library without face analysis."""
    return Library.objects.create(name=f"library {next(_numbers)}")


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
