"""Near-duplicates: found as hashes come, in groups without chains, with a model's objections, and decisions obeyed."""

import io
from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import photo_samples
import pytest
from PIL import Image, ImageEnhance

from accounts.models import Library
from accounts.problems import InvalidValueError
from photos.models import (
    DuplicateDecision,
    DuplicateGroup,
    DuplicateMember,
    ImageEmbedding,
    Photo,
    PhotoFingerprint,
)
from photos.services import duplicates, fingerprints
from processing import reconciler
from processing.kinds.duplicates import DUPLICATES
from processing.models import LibraryRun, ModelSelection, RunState

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("photo_store", "broker")]

MODEL = "clip-vit-b-32-laion2b"


@pytest.fixture
def hashed(make_photo: Callable[..., Photo]) -> Callable[..., Photo]:
    """Make a photo whose hash has these bits, of a library in which nothing is grouped yet."""

    def make(*bits: int, **values: Any) -> Photo:
        photo = make_photo(**{"width": 4000, "height": 3000, **values})
        fingerprints.note(photo_id=photo.pk, perceptual_hash=signed(sum(1 << bit for bit in bits)))
        return photo

    return make


def signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def look() -> None:
    DUPLICATES.request_where_due()
    photo_samples.run_library_work("duplicates")
    assert not PhotoFingerprint.objects.filter(is_grouped=False).exists()


def groups() -> set[frozenset[Any]]:
    found: dict[Any, set[Any]] = {}
    for group_id, photo_id in DuplicateMember.objects.values_list("group", "photo"):
        found.setdefault(group_id, set()).add(photo_id)
    return {frozenset(members) for members in found.values()}


def of(*photos: Photo) -> frozenset[Any]:
    return frozenset(photo.pk for photo in photos)


def test_copies_of_a_real_photo_are_one_group_and_others_none(library: Library) -> None:
    original = photo_samples.take_in(library, photo_samples.portrait())
    with Image.open(io.BytesIO(photo_samples.portrait())) as image:
        small = photo_samples.take_in(library, encoded(image.resize((image.width // 2, image.height // 2))))
        bright = photo_samples.take_in(library, encoded(ImageEnhance.Brightness(image).enhance(1.1)))
        squeezed = photo_samples.take_in(library, encoded(image.resize((image.width, image.height // 2))))
    other = photo_samples.take_in(library, photo_samples.picture(size=(340, 300)))
    photo_samples.run_everything()
    look()
    # the same picture in another shape is no copy: the hash alone would say so
    assert groups() == {of(original, small, bright)}
    assert PhotoFingerprint.objects.get(photo=squeezed).hash == pytest.approx(original_hash(original), abs=2**64)
    assert not DuplicateMember.objects.filter(photo__in=[squeezed, other]).exists()


def original_hash(photo: Photo) -> int:
    return PhotoFingerprint.objects.get(photo=photo).hash


def encoded(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=70)
    return buffer.getvalue()


def test_a_chain_is_no_group(hashed: Callable[..., Photo]) -> None:
    # each is four bits from the next one, and eight from the one after
    chain = [hashed(*range(4 * number)) for number in range(6)]
    look()
    found = groups()
    assert found == {of(*chain[0:2]), of(*chain[2:4]), of(*chain[4:6])}
    for members in found:
        hashes = PhotoFingerprint.objects.filter(photo__in=members).values_list("hash", flat=True)
        assert all((one ^ other).bit_count() <= duplicates.NEAR_BITS for one, other in combinations(hashes, 2))


def test_near_is_six_bits_and_no_more(hashed: Callable[..., Photo]) -> None:
    first, near = hashed(), hashed(0, 1, 17, 33, 49, 63)
    far = hashed(2, 3, 18, 34, 50, 62, 61)
    look()
    assert groups() == {of(first, near)}
    assert not DuplicateMember.objects.filter(photo=far).exists()


def test_what_comes_later_joins_and_leaves_the_others_as_they_are(hashed: Callable[..., Photo]) -> None:
    first, second = hashed(), hashed(1)
    look()
    before = DuplicateGroup.objects.get()
    third = hashed(2)
    look()
    assert groups() == {of(first, second, third)}
    assert DuplicateGroup.objects.get() == before
    # looked at again they come back to the group that they had
    PhotoFingerprint.objects.update(is_grouped=False)
    look()
    assert DuplicateGroup.objects.get() == before
    # a hash that changes takes its photo out
    fingerprints.note(photo_id=second.pk, perceptual_hash=0x0FFFFFFF)
    look()
    assert groups() == {of(first, third)}


def test_a_library_of_its_own_and_photos_that_go(hashed: Callable[..., Photo], library: Library) -> None:
    other_library = Library.objects.create(name="another")
    photos = [hashed(), hashed(1)]
    hashed(library=other_library)
    look()
    assert groups() == {of(*photos)}
    assert LibraryRun.objects.filter(kind="duplicates", state=RunState.DONE).count() == 2
    Photo.objects.filter(library=library).delete()
    hashed()
    look()
    assert groups() == set()
    assert DuplicateGroup.objects.count() == 0


def embed(photo: Photo, angle: float) -> None:
    vector = np.zeros(512)
    vector[:2] = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    ImageEmbedding.objects.create(
        photo=photo, library_id=photo.library_id, model=MODEL, version="1", dimensions=512, vector=vector.tolist()
    )


def test_a_model_may_object_to_what_hashes_say(hashed: Callable[..., Photo]) -> None:
    ModelSelection.objects.create(task="image_embedding", model=MODEL, weights_hash="ab" * 32, in_use=True)
    first, alike, another, unread = hashed(), hashed(1), hashed(2), hashed(3)
    embed(first, 0)
    embed(alike, 20)
    embed(another, 60)
    look()
    # what it has not read it says nothing of
    assert groups() == {of(first, alike, unread)}
    embed(unread, 60)
    PhotoFingerprint.objects.filter(photo=unread).update(is_grouped=False)
    look()
    assert groups() == {of(first, alike), of(another, unread)}


def test_a_decision_takes_a_group_apart_and_is_obeyed(hashed: Callable[..., Photo]) -> None:
    first, second, third = hashed(), hashed(1), hashed(2)
    look()
    decision = duplicates.decide(photos=[first, second], by=None, model=None)
    assert groups() == {of(first, third)}
    PhotoFingerprint.objects.update(is_grouped=False)
    look()
    assert groups() == {of(first, third)}
    # also against what comes in later
    fourth = hashed(3)
    look()
    assert groups() == {of(first, third, fourth)}
    assert not PhotoFingerprint.objects.filter(is_grouped=False).exists()

    duplicates.take_back(decision=decision, model=None)
    look()
    assert groups() == {of(first, second, third, fourth)}
    assert DuplicateDecision.objects.count() == 0


def test_what_cannot_be_decided_is_refused(hashed: Callable[..., Photo]) -> None:
    photo, elsewhere = hashed(), hashed(1, library=Library.objects.create(name="another"))
    look()
    for photos in ([photo], [photo, photo], [photo, elsewhere], [photo] * 101):
        with pytest.raises(InvalidValueError):
            duplicates.decide(photos=photos, by=None, model=None)
    assert DuplicateDecision.objects.count() == 0


def test_thousands_of_blank_pages_are_bounded(hashed: Callable[..., Photo], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "NEIGHBOURS", 8)
    monkeypatch.setattr(duplicates, "MEMBERS", 4)
    for _ in range(30):
        hashed(5)
    look()
    sizes = sorted(len(members) for members in groups())
    assert sizes
    assert max(sizes) <= 4
    assert min(sizes) >= 2


@pytest.mark.django_db(transaction=True)
def test_the_sweep_asks_for_what_is_due_and_no_more(hashed: Callable[..., Photo], library: Library) -> None:
    assert DUPLICATES.request_where_due() == 0
    hashed()
    reconciler.reconcile()
    run = LibraryRun.objects.get(kind="duplicates")
    assert (run.library_id, run.state) == (library.pk, RunState.PENDING)
    assert DUPLICATES.request_where_due() == 0
    photo_samples.run_library_work("duplicates")
    run.refresh_from_db()
    assert (run.state, run.report) == (RunState.DONE, {"photos": 1, "grouped": 0})
    assert DUPLICATES.request_where_due() == 0
    # a dead one waits for a person, and is not asked for beside
    hashed(60)
    LibraryRun.objects.update(state=RunState.DEAD, error_code="unexpected_error")
    assert DUPLICATES.request_where_due() == 0
