"""What answers look like, for the API's documentation."""

from typing import Any

from drf_spectacular.utils import OpenApiExample

from processing.error_codes import explain

_RUN: dict[str, Any] = {
    "id": "0199f2a4-1c05-7d31-9a3e-5b1f0a6c2d10",
    "is_library_work": False,
    "work": "renditions",
    "version": "1.5f2c8a41",
    "library": {"id": "0199f2a0-7711-7c2b-8d52-0e9c41b7aa01", "name": "Archive"},
    "photo": {"id": "0199f2a4-1bf0-7c11-a1de-77c0d1be3302", "original_filename": "IMG_2041.jpg"},
    "state": "dead",
    "skip_reason": "",
    "attempt": 3,
    "error_code": "process_crashed",
    "error_detail": "The process died: signal 11 (SIGSEGV)",
    "exception": "",
    "frame": "",
    "fingerprint": "3f9a6c0b12de4477",
    "created_at": "2026-05-04T09:12:00.120000Z",
    "started_at": "2026-05-04T09:14:31.002000Z",
    "finished_at": "2026-05-04T09:14:33.417000Z",
    "discarded_by": None,
    "discard_reason": "",
}
_EXPLAINED = {name: str(getattr(explain("process_crashed"), name)) for name in ("meaning", "remedy")}
_DETAIL = _RUN | {
    **_EXPLAINED,
    "traceback": "",
    "subject": "",
    "queued_at": "2026-05-04T09:14:30.950000Z",
    "not_before": None,
    "worker": "ingest@host1",
    "task_id": "9c1d4c1e-6a53-4f0e-9a0a-0f2b1c0d7d5e",
    "work_seconds": None,
    "inputs": {},
    "warnings": [],
}
_GROUP: dict[str, Any] = {
    **_EXPLAINED,
    "fingerprint": "3f9a6c0b12de4477",
    "is_library_work": False,
    "work": "renditions",
    "error_code": "process_crashed",
    "exception": "",
    "frame": "",
    "count": 12,
    "first_seen": "2026-05-03T22:40:11.000000Z",
    "last_seen": "2026-05-04T09:14:33.417000Z",
    "libraries": ["Archive", "Weddings"],
    "library_count": 2,
    "sample_run": _RUN["id"],
    "sample_photo": _RUN["photo"]["id"],
}
_STAGE: dict[str, Any] = {
    "name": "renditions",
    "queue": "ingest",
    "is_library_work": False,
    "counts": {"waiting": 0, "pending": 4210, "running": 8, "dead": 12},
    "oldest_pending_seconds": 310.4,
    "done_last_5_minutes": 2875,
    "done_per_minute": 575.0,
    "failures_last_hour": 3,
    "pause": None,
    "obstacle": "",
}
_PAUSE: dict[str, Any] = {
    "paused_at": "2026-05-04T09:20:00.000000Z",
    "paused_by": {"id": "0199f29f-0a3c-7b51-bb0c-6c1a3e52f0a4", "email": "operator@example.org"},
    "reason": "The disk is being replaced.",
    "is_circuit": False,
    "error_code": "",
    "probe_at": None,
}
_WORKER: dict[str, Any] = {
    "name": "faces@host2",
    "host": "host2",
    "queues": ["embeddings", "faces"],
    "models": ["facenet-vggface2", "mtcnn"],
    "versions": {
        "face_detection": ["2.11aa22bb.mtcnn.5e1f77c0"],
        "face_embedding": ["1.33cc44dd.facenet-vggface2.0fd1a2b3"],
    },
    "device": "cuda",
    "processes": 1,
    "running": 32,
    "running_by_work": {"face_embedding": 32},
    "memory_bytes": 1510998016,
    "started_at": "2026-05-04T06:00:02.000000Z",
    "last_seen": "2026-05-04T09:21:14.500000Z",
    "last_seen_seconds_ago": 3.2,
    "is_alive": True,
    "draining_since": None,
}
_DISCARDED = {
    "state": "skipped",
    "skip_reason": "discarded",
    "discarded_by": _PAUSE["paused_by"],
    "discard_reason": "The file crashes its decoder; the owner has a copy.",
}
_REOPENED = {
    "state": "pending",
    "attempt": 0,
    "error_code": "",
    "meaning": "",
    "remedy": "",
    "error_detail": "",
    "started_at": None,
    "finished_at": None,
    "worker": "ingest@host1",
}


def _answer(name: str, value: object) -> OpenApiExample:
    return OpenApiExample(name, value=value, response_only=True, status_codes=["200"])


RUN = _answer("A process that crashed three times", _RUN)
DETAIL = _answer("A process that crashed three times", _DETAIL)
RETRIED = _answer("It starts over", _DETAIL | _REOPENED)
DISCARDED = _answer("It has been given up", _DETAIL | _DISCARDED)
GROUPS = _answer("Twelve runs that failed in one way", {"groups": [_GROUP]})
RETRIED_COUNT = _answer("Twelve start over", {"retried": 12})
DISCARDED_COUNT = _answer("Twelve were given up", {"discarded": 12})
STAGES = _answer("A backlog that moves", {"stages": [_STAGE]})
PAUSED = _answer("Held by a person", _STAGE | {"pause": _PAUSE})
RESUMED = _answer("It goes on", _STAGE)
WORKERS = _answer("A worker with a device", {"workers": [_WORKER]})
