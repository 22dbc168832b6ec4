"""The Celery tasks: one per stage, named after it. Each makes one call into the pipeline.

A message carries the ids that rang, for the trace, and a version. What is run is what the ledger says, not what the
message says, so every task takes whatever keywords a newer sender may add.
"""

from celery import Task
from django.conf import settings

from accounts.services import audit, logins
from processing import answering, sweeps
from processing.pipeline import library_work, working
from processing.reconciler import reconcile as reconcile_once
from processing.reconciler import tend as tend_once
from processing.services import canaries, exports, object_sweeps, trash
from processing.services.uploads import sweeping
from processing.task_policy import any_queue_task, library_task, maintenance_task, stage_task

HOUR_SECONDS = 3600


@stage_task(name="exif", queue="ingest")
def exif(self: Task, **_hint: object) -> int:
    """Read the tags of pending originals."""
    return working.work(stage_name="exif", task_id=self.request.id, worker=self.request.hostname)


@stage_task(name="place", queue="maintenance")
def place(self: Task, **_hint: object) -> int:
    """Name the places of pending positions."""
    return working.work(stage_name="place", task_id=self.request.id, worker=self.request.hostname)


@stage_task(name="renditions", queue="ingest")
def renditions(self: Task, **_hint: object) -> int:
    """Make the preview and the thumbnails of pending originals."""
    return working.work(stage_name="renditions", task_id=self.request.id, worker=self.request.hostname)


@stage_task(name="face_detection", queue="faces")
def face_detection(self: Task, **_hint: object) -> int:
    """Find the faces on pending previews."""
    return working.work(stage_name="face_detection", task_id=self.request.id, worker=self.request.hostname)


@stage_task(name="face_embedding", queue="embeddings")
def face_embedding(self: Task, **_hint: object) -> int:
    """Embed pending faces."""
    return working.work(stage_name="face_embedding", task_id=self.request.id, worker=self.request.hostname)


@stage_task(name="image_embedding", queue="embeddings")
def image_embedding(self: Task, **_hint: object) -> int:
    """Embed pending previews."""
    return working.work(stage_name="image_embedding", task_id=self.request.id, worker=self.request.hostname)


@library_task(name="people")
def people(self: Task, **_hint: object) -> int:
    """Group the faces of libraries that have new ones."""
    return library_work.work(kind="people", task_id=self.request.id, worker=self.request.hostname)


@library_task(name="regroup_preview")
def regroup_preview(self: Task, **_hint: object) -> int:
    """Compute what regrouping libraries would change."""
    return library_work.work(kind="regroup_preview", task_id=self.request.id, worker=self.request.hostname)


@any_queue_task(name="canary")
def canary(self: Task, *, queue: str, **_hint: object) -> None:
    """Show that the workers of a queue take messages."""
    canaries.move(queue=queue, worker=self.request.hostname)


@any_queue_task(name="answer")
def answer(_self: Task, *, queue: str, **_hint: object) -> int:
    """Answer what web processes ask of the workers of a queue."""
    return answering.answer_pending(queue=queue)


@library_task(name="duplicates")
def duplicates(self: Task, **_hint: object) -> int:
    """Look for near-duplicates in libraries that have photos with new hashes."""
    return library_work.work(kind="duplicates", task_id=self.request.id, worker=self.request.hostname)


@library_task(name="erase_faces")
def erase_faces(self: Task, **_hint: object) -> int:
    """Erase the faces of libraries where face analysis was switched off."""
    return library_work.work(kind="erase_faces", task_id=self.request.id, worker=self.request.hostname)


@library_task(name="forget")
def forget(self: Task, **_hint: object) -> int:
    """Erase people who are to be forgotten, and libraries with everything in them."""
    return library_work.work(kind="forget", task_id=self.request.id, worker=self.request.hostname)


@library_task(name="plan")
def plan(self: Task, **_hint: object) -> int:
    """Plan the photos of libraries after what is planned has changed."""
    return library_work.work(kind="plan", task_id=self.request.id, worker=self.request.hostname)


@library_task(name="edit")
def edit(self: Task, **_hint: object) -> int:
    """Say of many photos what somebody said of them."""
    return library_work.work(kind="edit", task_id=self.request.id, worker=self.request.hostname)


@library_task(name="import", queue="maintenance")
def import_files(self: Task, **_hint: object) -> int:
    """Take the files of sources into libraries."""
    return library_work.work(kind="import", task_id=self.request.id, worker=self.request.hostname)


@library_task(name="export", queue="maintenance")
def export(self: Task, **_hint: object) -> int:
    """Pack photos that somebody takes out of libraries."""
    return library_work.work(kind="export", task_id=self.request.id, worker=self.request.hostname)


@maintenance_task(name="sweep_objects")
def sweep_objects(_self: Task, **_hint: object) -> None:
    """Delete stored objects that no row names."""
    object_sweeps.sweep(seconds=60)


@maintenance_task(name="sweep_incoming")
def sweep_incoming(_self: Task, **_hint: object) -> None:
    """Delete what writers that were killed have left in the stores."""
    if sweeps.begin("sweep_incoming", every=HOUR_SECONDS):
        object_sweeps.sweep_incoming()
        sweeping.sweep_unnamed()


@maintenance_task(name="sweep_uploads")
def sweep_uploads(_self: Task, **_hint: object) -> None:
    """Finish uploads that were left half-way, and give up what is over."""
    if sweeps.begin("sweep_uploads", every=settings.LEDGER_SWEEP_SECONDS):
        sweeping.sweep()


@maintenance_task(name="sweep_exports")
def sweep_exports(_self: Task, **_hint: object) -> None:
    """Delete the files of exports whose time is over."""
    if sweeps.begin("sweep_exports", every=HOUR_SECONDS):
        exports.sweep()


@maintenance_task(name="empty_trash")
def empty_trash(_self: Task, **_hint: object) -> None:
    """Delete for good what has been in the trash for too long."""
    if sweeps.begin("empty_trash", every=HOUR_SECONDS):
        trash.purge_expired()


@maintenance_task(name="seal_audit")
def seal_audit(_self: Task, **_hint: object) -> None:
    """Chain what was written into the audit trail."""
    if sweeps.begin("seal_audit", every=settings.AUDIT_SEAL_SECONDS):
        audit.seal_all()


@maintenance_task(name="flush_logins")
def flush_logins(_self: Task, **_hint: object) -> None:
    """Delete the rows of login tokens, sessions and kept answers that ran out."""
    if sweeps.begin("flush_logins", every=HOUR_SECONDS):
        logins.flush_expired()


@maintenance_task(name="tend")
def tend(_self: Task, **_hint: object) -> None:
    """Return expired leases, and ring for retries whose time has come."""
    if sweeps.begin("tend", every=settings.LEDGER_TEND_SECONDS):
        tend_once()


@maintenance_task(name="reconcile")
def reconcile(self: Task, **_hint: object) -> None:
    """Return expired leases, and ring again for what is pending."""
    if sweeps.begin(sweeps.RECONCILE, every=settings.LEDGER_SWEEP_SECONDS):
        reconcile_once(worker=self.request.hostname)
