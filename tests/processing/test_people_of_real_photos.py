"""The real photos: named, merged, split, rejected and confirmed by script, then regrouped in every way.

dlib's vectors are real. The weights of other models cannot be had everywhere, so vectors of two more are made here, by
the same steps every time, and kept under names of the catalogue:

- `facenet-vggface2`: histograms of oriented gradients (scikit-image) of the face chips, projected to 512 dimensions by
  a fixed random matrix. A real descriptor, and a poor one for who somebody is: it puts people together by their pose.
- `facenet-casia`: dlib's own, rotated into 512 dimensions by a fixed random matrix, with a fixed distortion of each
  value: a model that agrees with dlib on most faces, and not on all.
"""

import io
import random
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import photo_samples
import pytest
from face_samples import MODEL, groups
from PIL import Image
from skimage.feature import hog
from told import Told

from accounts.models import Library
from photos import storage
from photos.models import Face, FaceEmbedding, Person, Regrouping
from photos.services import broken_decisions, faces
from processing.engines.installation import InstalledModel
from processing.services import grouping, regrouping, selection

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("broker", "photo_store")]

GRADIENTS, ROTATED = "facenet-vggface2", "facenet-casia"
REGROUPINGS = (
    # model, threshold (none: the model's own), order of arrival
    (MODEL, 0.3, "shuffled"),
    (MODEL, 0.45, "in batches"),
    (GRADIENTS, None, "as it is"),
    (GRADIENTS, 0.6, "shuffled"),
    (MODEL, 0.7, "in batches"),
    (ROTATED, None, "as it is"),
    (ROTATED, 0.5, "in batches"),
    (MODEL, 1.1, "shuffled"),
    (GRADIENTS, 1.6, "in batches"),
    (MODEL, 0.52, "shuffled"),
)


@dataclass(frozen=True)
class Row:
    """What a regrouping did."""

    model: str
    threshold: float
    order: str
    moved: int
    people: int
    groups: int
    broken: int

    def __str__(self) -> str:
        words = f"{self.model:<18} {self.threshold:>9.2f}  {self.order:<11}"
        return f"{words} {self.moved:>11} {self.people:>7} {self.groups:>7} {self.broken:>7}"


def test_ten_regroupings_break_no_decision(
    face_library: Library,
    shared_photos: Path,
    installed_models: dict[str, InstalledModel],
    capsys: pytest.CaptureFixture[str],
) -> None:
    take_in_all(face_library, shared_photos)
    told = Told()
    decide(told)
    assert told.broken() == []
    for model in (GRADIENTS, ROTATED):
        add_vectors_of(model)
    shuffle = random.Random(3)
    rows = [regroup(face_library, *one, told, shuffle, installed_models[MODEL]) for one in REGROUPINGS]
    with capsys.disabled():
        print(f"\n{Face.objects.count()} faces, {told.count} decisions, by script:")  # noqa: T201
        head = f"{'model':<18} {'threshold':>9}  {'order':<11} {'faces moved':>11} {'people':>7}"
        head += f" {'groups':>7} {'broken':>7}"
        print("\n".join([head, *map(str, rows)]))  # noqa: T201
    assert [row.broken for row in rows] == [0] * 10
    # they are no mere repetitions: most of them moved faces, and put together others
    assert sum(row.moved > 0 for row in rows) >= 7
    assert len({row.groups for row in rows}) >= 4


def take_in_all(library: Library, folder: Path) -> None:
    for file in sorted([*(folder / "people").glob("*/*"), *(folder / "groups").glob("*")]):
        # a path would be cut to its last part
        name = str(file.relative_to(folder)).replace("/", " ")
        photo_samples.take_in(library, file.read_bytes(), filename=name)
    photo_samples.run_everything()
    assert Face.objects.kept().count() > 25


def person_of(face: Face) -> Person | None:
    return Face.objects.select_related("person").get(pk=face.pk).person


def largest_face(filename: str) -> Face:
    """Give the face that a photo of one person is of."""
    found = Face.objects.kept().filter(photo__original_filename=filename)
    return max(found, key=lambda face: (face.right - face.left) * (face.bottom - face.top))


def decide(told: Told) -> None:
    """Name everybody by the folder of their photos, and decide what no likeness would: that is the harder test."""
    filenames = sorted(Face.objects.filter(photo__original_filename__startswith="people ").values_list(
        "photo__original_filename", flat=True
    ).distinct())  # fmt: skip
    for filename in filenames:
        name, face = filename.split()[1], largest_face(filename)
        person, known = person_of(face), Person.objects.filter(name=name).first()
        if known is not None and person != known:
            told.move(face, known)
        elif person is None:
            told.make(face, name)
        elif not person.name:
            told.name(person, name)
    people = {one.name: one for one in Person.objects.exclude(name="")}
    assert len(people) == 9
    told.confirm(people["biden"])
    told.merge(people["alex_lacamoire"], people["shea_whigham"])
    obamas = list(people["obama"].faces.order_by("photo__original_filename"))
    apart = told.split(people["obama"], obamas[:2], "barack")
    told.reject(obamas[-1])
    told.merge(people["obama"], apart)
    told.reject(largest_face("people rose_leslie img1.jpg"))
    told.move(largest_face("people kit_harington john1.jpeg"), people["kate_siegel"])
    told.move(largest_face("people paul_rudd 1.jpg"), None)
    told.undo()
    in_group = Face.objects.kept().filter(photo__original_filename="groups multiface.jpg").order_by("left")
    told.make(in_group[0], "somebody in a group")
    assert told.count >= 18


def add_vectors_of(model: str) -> None:
    vectors = {}
    for face in Face.objects.filter(embeddings__model=MODEL):
        found = gradients(face) if model == GRADIENTS else rotated(face)
        vectors[face] = (found / np.linalg.norm(found)).astype(np.float32)
    for face, vector in vectors.items():
        faces.replace_embeddings(
            library_id=face.photo.library_id, model=model, version="made by the test", vectors={face.pk: vector}
        )


def gradients(face: Face) -> np.ndarray:
    data = storage.read_object(alias=storage.RENDITIONS, key=face.chip_key)
    with Image.open(io.BytesIO(data)) as chip:
        grey = np.asarray(chip.convert("L").crop(tuple(face.chip_box)).resize((64, 64)), np.float64)
    found = hog(grey, orientations=8, pixels_per_cell=(16, 16), cells_per_block=(1, 1))
    return np.random.default_rng(1).standard_normal((512, len(found))) @ (found - found.mean())


def rotated(face: Face) -> np.ndarray:
    vector = np.asarray(face.embeddings.get(model=MODEL).vector, np.float64)
    turned = np.random.default_rng(2).standard_normal((512, len(vector))) @ vector
    return np.tanh(3 * turned) + 0.3 * np.sin(40 * turned)


def regroup(
    library: Library,
    model: str,
    threshold: float | None,
    order: str,
    told: Told,
    shuffle: random.Random,
    installed: InstalledModel,
) -> Row:
    """Regroup as an operator does: put a model to use, look at the diff of a threshold, apply it."""
    before = dict(Face.objects.values_list("pk", "person"))
    if grouping.rule_in_use().model.name != model:
        chosen = installed if model == MODEL else replace(installed, name=model, weights_hash="ab" * 32)
        selection.select_model(installed=chosen, in_use=True)
        photo_samples.run_people()
        assert told.broken() == []
    if threshold is not None:
        asked = regrouping.ask(library=library, threshold=threshold)
        assert photo_samples.run_library_work("regroup_preview") == 1
        asked = Regrouping.objects.get(pk=asked.pk)
        assert regrouping.apply(regrouping=asked) == asked.report["faces_moved"]
        assert told.broken() == []
        photo_samples.run_people()
    applied = groups(library)
    if order != "as it is":
        arrive_again(library, model, order, told, shuffle)
        # the rows have another order, and came in other portions: the groups are the same
        assert groups(library) == applied
    wrong = [*told.broken(), *broken_decisions.broken(library_id=library.pk)]
    after = dict(Face.objects.values_list("pk", "person"))
    moved = sum(before[face] != after[face] for face in before)
    rule = grouping.rule_of(library.pk)
    people = len({person for person in after.values() if person})
    return Row(model, rule.threshold, order, moved, people, len(applied), len(wrong))


def arrive_again(library: Library, model: str, order: str, told: Told, shuffle: random.Random) -> None:
    """Take all vectors out and put them in again in another order: at once, or some at a time, each lot grouped."""
    rows = list(FaceEmbedding.objects.filter(library=library, model=model))
    shuffle.shuffle(rows)
    faces.forget_embeddings(embedding_ids=[row.pk for row in rows])
    size = len(rows) if order == "shuffled" else 7
    for start in range(0, len(rows), size):
        for row in rows[start : start + size]:
            vector = np.asarray(row.vector, np.float32)
            faces.replace_embeddings(
                library_id=library.pk, model=model, version=row.version, vectors={row.face_id: vector}
            )
        grouping.request(library_id=library.pk, model=model)
        assert photo_samples.run_people() == 1
        assert told.broken() == []
