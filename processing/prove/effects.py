"""Effects that are there twice (doubled), and done runs whose rows are not there or cannot be theirs (wrong)."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import combinations
from uuid import UUID

from django.conf import settings

from accounts.wording import counted
from photos.models import Photo
from processing.engines import catalogue
from processing.models import RunState
from processing.prove.batches import Batch, FaceRow, PhotoRow, RunRow
from processing.prove.findings import Finding
from processing.prove.situation import Situation, lease
from processing.stages.face_detection import NO_FACES

# Two faces of one detection overlap by less: its own suppression takes care of that. 0.9 is one place, found twice.
DOUBLED_OVERLAP = 0.9
IMAGE_EMBEDDING = "image_embedding"


class Effects:
    """What is wrong with the rows of one photo."""

    def __init__(self, photo: PhotoRow, batch: Batch, situation: Situation) -> None:
        self._photo = photo
        self._situation = situation
        self._runs: list[RunRow] = batch.runs[photo.pk]
        self._renditions = batch.renditions[photo.pk]
        self._metadata = batch.metadata.get(photo.pk)
        self._faces: list[FaceRow] = batch.faces[photo.pk]
        self._embeddings = batch.embeddings[photo.pk]
        self._image_vectors = batch.image_vectors[photo.pk]
        self._ripe_at = batch.changes_until(photo.pk, now=situation.now)

    def doubled(self) -> Iterator[Finding]:
        """Find what is there twice."""
        for (stage, version), count in _twice((run.stage, run.version) for run in self._runs):
            yield self._found("run_twice", f"{count} runs of {stage} ({version})", stage=stage, item=version)
        for run in self._runs:
            if run.commits > 1:
                detail = f"{run.stage}: {run.commits} results were committed"
                yield self._found("committed_twice", detail, stage=run.stage, run=str(run.pk))
        for kind, count in _twice(row.kind for row in self._renditions):
            yield self._found("rendition_twice", f"{count} renditions {kind}", stage="renditions", item=kind)
        for first, second, overlap in doubled_faces(self._faces):
            detail = f"faces {first.pk} and {second.pk} share {overlap:.0%} of their place"
            yield self._found("face_twice", detail, stage="face_detection", item=f"{first.pk} {second.pk}")
        for (face_id, model), count in _twice((row.face_id, row.model) for row in self._embeddings):
            detail = f"{count} vectors of face {face_id} by {model}"
            yield self._found("embedding_twice", detail, stage="face_embedding", item=f"{face_id} {model}")
        for (model,), count in _twice((row.model,) for row in self._image_vectors):
            detail = f"{count} vectors of the photo by {model}"
            yield self._found("embedding_twice", detail, stage="image_embedding", item=model)

    def wrong(self) -> Iterator[Finding]:
        """Find rows that are missing, or are not those of the run that ended last."""
        yield from self._exif()
        yield from self._rendition_rows()
        yield from self._image_vector_rows()
        if self._photo.with_faces:
            yield from self._face_rows()
            yield from self._embedding_rows()

    def leaked(self) -> Iterator[Finding]:
        """Find faces and vectors that nobody has consented to."""
        if self._photo.consent or not self._faces or self._photo.library_id in self._situation.erasing:
            return
        changed_at = self._photo.consent_changed_at
        yield self._found(
            "faces_without_consent",
            f"{counted(len(self._faces), 'face')}, {counted(len(self._embeddings), 'vector')}; face analysis is off",
            library=str(self._photo.library_id),
            ripe_at=changed_at and changed_at + lease(),
        )

    def _exif(self) -> Iterator[Finding]:
        done = self._done("exif")
        if done and self._metadata is None:
            yield self._missing(done, "no metadata row")
        elif done:
            yield from self._outdated("exif", "", {self._metadata})

    def _rendition_rows(self) -> Iterator[Finding]:
        done = self._done("renditions")
        if not done:
            return
        kinds, versions = {row.kind for row in self._renditions}, {row.version for row in self._renditions}
        expected = set(settings.RENDITION_SIZES) if done.version in self._situation.planned["renditions"] else set()
        missing = sorted(expected - kinds) or ([] if kinds else ["any kind"])
        if missing:
            yield self._missing(done, f"no rendition {', '.join(missing)}")
        elif self._photo.thumbhash is None:
            yield self._missing(done, "no thumbhash")
        elif self._photo.perceptual_hash != self._photo.fingerprint:
            yield self._missing(done, "no fingerprint with its hash")
        else:
            yield from self._outdated("renditions", "", versions)

    def _image_vector_rows(self) -> Iterator[Finding]:
        versions = {row.model: row.version for row in self._image_vectors}
        for run in self._runs:
            if run.stage != IMAGE_EMBEDDING or run.version not in self._situation.planned[IMAGE_EMBEDDING]:
                continue
            if run.state == RunState.DONE and run.model not in versions:
                yield self._missing(run, f"no vector by {run.model}")
            elif run.state == RunState.DONE:
                yield from self._outdated(IMAGE_EMBEDDING, run.model, {versions[run.model]})
        for row in self._image_vectors:
            if detail := _wrong_vector(row, self._photo):
                yield self._found("embedding_wrong", detail, stage=IMAGE_EMBEDDING, item=str(row.pk))

    def _face_rows(self) -> Iterator[Finding]:
        if self._done("face_detection"):
            # one that a person has decided on stays when it is not found again
            yield from self._outdated(
                "face_detection", None, {row.version for row in self._faces if not row.is_decided}
            )

    def _embedding_rows(self) -> Iterator[Finding]:
        vectors = defaultdict(dict)
        for row in self._embeddings:
            vectors[row.model][row.face_id] = row.version
        for version in self._situation.planned["face_embedding"]:
            run = next((one for one in self._runs if (one.stage, one.version) == ("face_embedding", version)), None)
            if run is None:
                continue
            if run.state == RunState.SKIPPED and run.skip_reason == NO_FACES and self._faces and self._input_is_done():
                detail = f"face_embedding was skipped with {counted(len(self._faces), 'face')} there"
                yield self._found("wrongly_skipped", detail, stage="face_embedding", run=str(run.pk))
            if run.state == RunState.DONE:
                yield from self._embedded(run, vectors[run.model])
        for row in self._embeddings:
            if detail := _wrong_vector(row, self._photo):
                yield self._found("embedding_wrong", detail, stage="face_embedding", item=str(row.pk))

    def _embedded(self, run: RunRow, vectors: dict[UUID, str]) -> Iterator[Finding]:
        bare = [face.pk for face in self._faces if face.pk not in vectors]
        if not self._faces:
            yield self._missing(run, "no face to have a vector of")
        elif bare:
            yield self._missing(run, f"{len(bare)} of {len(self._faces)} faces have no vector by {run.model}")
        else:
            yield from self._outdated("face_embedding", run.model, set(vectors.values()))

    def _input_is_done(self) -> bool:
        return not any(run.stage == "face_detection" and run.state in {"pending", "running"} for run in self._runs)

    def _done(self, stage: str, model: str | None = None) -> RunRow | None:
        """Give the run of a stage that ended last with a result."""
        done = [run for run in self._of(stage, model) if run.state == RunState.DONE]
        return max(done, key=lambda run: run.finished_at, default=None)

    def _of(self, stage: str, model: str | None) -> list[RunRow]:
        return [run for run in self._runs if run.stage == stage and model in (None, run.model)]

    def _outdated(self, stage: str, model: str | None, versions: set[str]) -> Iterator[Finding]:
        """Find rows of a version that did not end last. A run that was opened again may have written them before."""
        runs = self._of(stage, model)
        last = self._done(stage, model)
        since = last.finished_at - lease()
        may_be = {run.version for run in runs if run.state != RunState.DONE or run.finished_at >= since}
        if strange := sorted(versions - may_be):
            detail = f"{stage}: rows of {', '.join(strange)}, and {last.version} ended last"
            yield self._found("result_outdated", detail, stage=stage, run=str(last.pk))

    def _missing(self, run: RunRow, what: str) -> Finding:
        return self._found("result_missing", f"{run.stage}: {what}", stage=run.stage, run=str(run.pk))

    def _found(self, code: str, detail: str, *, ripe_at: datetime | None = None, **named: str) -> Finding:
        photo = str(self._photo.pk)
        return Finding("photos", photo, code, detail, photo=photo, ripe_at=ripe_at or self._ripe_at, **named)


def doubled_faces(faces: Sequence[FaceRow]) -> Iterator[tuple[FaceRow, FaceRow, float]]:
    """Give the pairs of faces that are one face, the older first, and the share of their place that is common."""
    for first, second in combinations(faces, 2):
        overlap = 1.0 if first.chip_key == second.chip_key else _overlap(first, second)
        if overlap >= DOUBLED_OVERLAP:
            yield first, second, overlap


def doubled_photos(photos: Sequence[PhotoRow]) -> Iterator[Finding]:
    """Find photos that share their bytes within a library, or their stored original."""
    own = {photo.pk for photo in photos}
    # by both columns of the unique index, so that it serves
    same = Photo.objects.filter(
        library_id__in={photo.library_id for photo in photos}, sha256__in=[photo.sha256 for photo in photos]
    )
    yield from _shared("photo_twice", own, same.values_list("pk", "library_id", "sha256"), "has the same bytes")
    same = Photo.objects.filter(
        storage_alias__in={photo.alias for photo in photos}, storage_key__in=[photo.key for photo in photos]
    )
    yield from _shared("original_shared", own, same.values_list("pk", "storage_alias", "storage_key"), "has that key")


def _shared(code: str, own: set[UUID], rows: Iterable[tuple], what: str) -> Iterator[Finding]:
    by_value: dict[tuple, list[UUID]] = defaultdict(list)
    for pk, *value in rows:
        by_value[tuple(value)].append(pk)
    for pks in by_value.values():
        first, *others = sorted(pks)
        for pk in others:
            if pk in own:
                yield Finding("photos", str(pk), code, f"photo {first} {what}", photo=str(pk), item=str(first))


def _twice(values: Iterable[object]) -> list[tuple]:
    return [(value, count) for value, count in Counter(values).items() if count > 1]


def _overlap(first: FaceRow, second: FaceRow) -> float:
    """Give intersection over union of two boxes."""
    width = min(first.right, second.right) - max(first.left, second.left)
    height = min(first.bottom, second.bottom) - max(first.top, second.top)
    if width <= 0 or height <= 0:
        return 0.0
    areas = sum((face.right - face.left) * (face.bottom - face.top) for face in (first, second))
    return width * height / (areas - width * height)


def _wrong_vector(row: object, photo: PhotoRow) -> str:
    """Say why a vector cannot be what its row says; nothing if it can."""
    if row.library_id != photo.library_id:
        return f"vector {row.pk}: of library {row.library_id}, and its photo is not"
    model = catalogue.MODELS.get(row.model)
    if model is None:
        return ""  # of a model that this release does not know, so nobody can say
    if row.dimensions != model.dimensions:
        return f"vector {row.pk}: {row.dimensions} dimensions, {row.model} gives {model.dimensions}"
    least, greatest = model.lengths
    # also where it is no number
    if not least <= row.length <= greatest:
        return f"vector {row.pk}: length {row.length:.3g}, {row.model} gives {least:g} to {greatest:g}"
    return ""
