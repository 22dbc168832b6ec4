"""What interrupted writes and uploads have left in the stores, and vectors whose face is gone (all leaked)."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import islice
from uuid import UUID

from django.conf import settings
from django.db.models import Exists, OuterRef

from accounts.wording import counted
from photos import storage
from photos.models import Face, FaceEmbedding
from photos.storage import uploads as stored_uploads
from photos.storage.uploads import Part
from processing.models import Upload
from processing.prove.findings import Finding
from processing.prove.listing import ALIASES, OBJECTS_AT_ONCE, ListedObject
from processing.prove.objects import facts_of
from processing.prove.situation import Situation, patience
from processing.prove.tally import Tally
from processing.services.object_sweeps import INCOMING_AGE
from processing.services.uploads import sweeping

VECTORS_AT_ONCE = 5000
# as beat has it swept
SWEPT_EVERY = timedelta(hours=1)


class IncomingCheck:
    """Temporary files on a disk and parts of uploads in a bucket, which the sweep should have deleted by now."""

    name = "incoming"

    def total(self) -> None:
        """Nobody knows before they are listed."""
        return

    def batches(self) -> Iterator[list[ListedObject]]:
        """Give them, some at a time."""
        for alias in ALIASES:
            objects = storage.list_incoming(alias=alias)
            while some := list(islice(objects, OBJECTS_AT_ONCE)):
                yield [ListedObject(alias, one.key, one.size, one.modified_at) for one in some]

    def examine(self, objects: Sequence[ListedObject], situation: Situation, _tally: Tally) -> list[Finding]:
        """Find those that are older than the sweep lets them grow."""
        latest = situation.now - INCOMING_AGE - SWEPT_EVERY - patience()
        return [_left_behind(one) for one in objects if one.modified_at < latest]

    def again(self, subjects: Sequence[str], situation: Situation) -> list[Finding]:
        """Look again at all that there are, and give those asked for."""
        found = [finding for some in self.batches() for finding in self.examine(some, situation, Tally())]
        return [one for one in found if one.subject in set(subjects)]


class UploadCheck:
    """Bytes of uploads that are over, or of none; and uploads that nobody takes in although all their bytes are there.

    The sweeps see to both: to what no row names within an hour, to rows within moments.
    """

    name = "uploads"

    def total(self) -> None:
        """Nobody knows before they are listed."""
        return

    def batches(self) -> Iterator[list[Part]]:
        """Give what lies there, some at a time; at least once nothing, with which the rows are looked at."""
        yield []
        parts = stored_uploads.list_parts()
        while some := list(islice(parts, OBJECTS_AT_ONCE)):
            yield some

    def examine(self, parts: Sequence[Part], situation: Situation, _tally: Tally) -> list[Finding]:
        """Find what the sweeps have had time to see to."""
        if not parts:
            return self._rows(situation)
        latest = situation.now - SWEPT_EVERY - patience()
        return [_left_of_upload(one) for one in sweeping.unnamed(parts) if one.modified_at < latest]

    def again(self, subjects: Sequence[str], situation: Situation) -> list[Finding]:
        """Look again at all that there is, and give those asked for."""
        found = [finding for some in self.batches() for finding in self.examine(some, situation, Tally())]
        return [one for one in found if one.subject in set(subjects)]

    def _rows(self, situation: Situation) -> list[Finding]:
        latest = situation.now - patience()
        over = Upload.objects.abandoned().filter(expires_at__lt=latest).order_by("pk")
        # each byte that comes in moves the time at which an upload expires
        life = timedelta(seconds=settings.UPLOAD_EXPIRES_SECONDS)
        stranded = Upload.objects.stranded().filter(expires_at__lt=latest + life).order_by("pk")
        found = [_finding(one, "upload_left", "its bytes and its row") for one in over[:OBJECTS_AT_ONCE]]
        return found + [_finding(one, "upload_stranded", "no photo yet") for one in stranded[:OBJECTS_AT_ONCE]]


class VectorCheck:
    """Vectors whose face is gone, which the database's own foreign key forbids."""

    name = "vectors"

    def total(self) -> None:
        """Counting them costs as much as looking at them."""
        return

    def batches(self) -> Iterator[list[UUID]]:
        """Give the ids of the vectors that are there now, some at a time."""
        end = FaceEmbedding.objects.order_by("-pk").values_list("pk", flat=True).first()
        seen: UUID | None = None
        while end is not None:
            rest = FaceEmbedding.objects.filter(pk__lte=end)
            rest = rest if seen is None else rest.filter(pk__gt=seen)
            ids = list(rest.order_by("pk").values_list("pk", flat=True)[:VECTORS_AT_ONCE])
            if not ids:
                return
            seen = ids[-1]
            yield ids

    def examine(self, vector_ids: Sequence[UUID], _situation: Situation, _tally: Tally) -> list[Finding]:
        """Find those without a face."""
        first, last = vector_ids[0], vector_ids[-1]
        rows = FaceEmbedding.objects.filter(~Exists(Face.objects.filter(pk=OuterRef("face_id"))))
        bare = rows.filter(pk__gte=first, pk__lte=last).order_by("pk").values_list("pk", "face_id", "model")
        return [
            Finding(
                self.name, str(pk), "vector_without_face", f"vector {pk} by {model} of face {face_id}", item=str(pk)
            )
            for pk, face_id, model in bare
        ]

    def again(self, subjects: Sequence[str], situation: Situation) -> list[Finding]:
        """Look again at vectors, given by their ids."""
        found = (self.examine([UUID(one)] * 2, situation, Tally()) for one in subjects)
        return [finding for findings in found for finding in findings]


def _left_of_upload(one: Part) -> Finding:
    where = f"uploads/{one.key}"
    facts = f"{counted(one.size, 'byte')}, written {one.modified_at:%Y-%m-%d %H:%M:%S} UTC"
    return Finding("uploads", where, "upload_left", facts, item=where, modified_at=one.modified_at)


def _finding(upload: Upload, code: str, what: str) -> Finding:
    facts = f"{counted(upload.offset, 'byte')} of {upload.length:,} are there; {what}"
    return Finding("uploads", str(upload.pk), code, facts, item=str(upload.pk), modified_at=upload.expires_at)


def _left_behind(one: ListedObject) -> Finding:
    where = f"{one.alias}/{one.key}"
    return Finding("incoming", where, "upload_unfinished", facts_of(one), item=where, modified_at=one.modified_at)
