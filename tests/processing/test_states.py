"""The state of a photo, by its runs; asked in three ways that must agree."""

import itertools
from collections.abc import Callable

import factories
import pytest

from photos.models import Photo
from processing.models import RunState
from processing.states import PhotoState, count_by_state, in_state, with_state

pytestmark = pytest.mark.django_db

STAGES = ("exif", "renditions", "face_detection")


@pytest.fixture
def make(make_photo: Callable[..., Photo]) -> Callable[..., Photo]:
    """Make a photo with one run in each of the states given."""

    def make_with(*states: str) -> Photo:
        photo = make_photo()
        for stage, state in zip(STAGES, states, strict=False):
            factories.make_run(photo, stage, state)
        return photo

    return make_with


@pytest.mark.parametrize(
    ("runs", "state"),
    [
        ((), "ready"),
        (("pending",), "pending"),
        (("pending", "pending", "waiting"), "pending"),
        (("pending", "skipped"), "pending"),
        (("running", "pending"), "processing"),
        (("done", "pending", "waiting"), "processing"),
        (("done", "waiting"), "processing"),
        (("done", "done", "skipped"), "ready"),
        (("skipped",), "ready"),
        (("dead",), "attention"),
        (("done", "dead", "waiting"), "attention"),
        (("dead", "running"), "attention"),
    ],
)
def test_the_state_of_a_photo(make: Callable[..., Photo], runs: tuple[str, ...], state: str) -> None:
    make("done", "running")
    photo = make(*runs)
    assert with_state(Photo.objects.all()).get(pk=photo.pk).state == state


def test_filters_and_counts_agree_with_it(make: Callable[..., Photo]) -> None:
    for runs in itertools.combinations_with_replacement(RunState.values, 2):
        make(*runs)
    found: dict[str, set[object]] = {state: set() for state in PhotoState.values}
    for pk, state in with_state(Photo.objects.all()).values_list("pk", "state"):
        found[state].add(pk)
    assert sum(map(len, found.values())) == 21
    for state, photos in found.items():
        assert set(in_state(Photo.objects.all(), state).values_list("pk", flat=True)) == photos
    assert count_by_state(Photo.objects.all()) == {state: len(photos) for state, photos in found.items()}
    # 2 of {waiting, pending, skipped} with one open; 6 with a dead one; done or skipped alone
    assert {state: len(photos) for state, photos in found.items()} == {
        "pending": 5,
        "processing": 7,
        "ready": 3,
        "attention": 6,
    }


def test_counts_are_of_the_photos_that_were_asked_for(make: Callable[..., Photo]) -> None:
    mine = make("done")
    make("dead")
    assert count_by_state(Photo.objects.filter(pk=mine.pk)) == {
        "pending": 0,
        "processing": 0,
        "ready": 1,
        "attention": 0,
    }


def test_an_unknown_state_is_an_error() -> None:
    with pytest.raises(ValueError, match="'lost' is not a valid PhotoState"):
        in_state(Photo.objects.all(), "lost")
