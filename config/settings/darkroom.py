"""Darkroom's own settings. Sizes are bytes and times are seconds, unless the name says otherwise."""

import math

from config.settings.environment import VAR_DIR, env, path
from processing.engines.cpus import usable_cpus

MIB = 1024 * 1024

# models and devices:

# weights, and the nets that `models install` converted for the CPU; shared by all workers of a host
MODELS_DIR = path("MODELS_DIR", VAR_DIR / "models")
# auto: CUDA where torch finds a device, else the CPU
DEVICE = env.str("DEVICE", default="auto")

# processes per queue, where `celery worker` is not told by --concurrency:

INGEST_WORKERS = env.int("INGEST_WORKERS", default=math.ceil(usable_cpus()))
# faces and embeddings: every process holds the models in memory, and on CUDA owns one device
FACES_WORKERS = env.int("FACES_WORKERS", default=1)
# people and maintenance: one may group a large library while the other reconciles
PEOPLE_WORKERS = env.int("PEOPLE_WORKERS", default=2)

# what may be uploaded:

UPLOAD_MAX_BYTES = env.int("UPLOAD_MAX_BYTES", default=200 * MIB)
# an upload that comes in by several requests is given up so long after the last byte of it
UPLOAD_EXPIRES_SECONDS = env.int("UPLOAD_EXPIRES_SECONDS", default=86_400)
# how many such uploads an account may have at once
UPLOAD_MAX_OPEN = env.int("UPLOAD_MAX_OPEN", default=100)
# an address to which a client sends a file straight into the bucket: within the time that the upload lives
UPLOAD_DIRECT_SECONDS = env.int("UPLOAD_DIRECT_SECONDS", default=3600)
# quotas that new libraries and accounts begin with, in bytes of originals; 0: none. Each is changed in the admin
LIBRARY_QUOTA_BYTES = env.int("LIBRARY_QUOTA_BYTES", default=0) or None
USER_QUOTA_BYTES = env.int("USER_QUOTA_BYTES", default=0) or None
# a decoded pixel costs 3 to 4 bytes several times over: 100 megapixels are about 1.2 GB at the worst moment
IMAGE_MAX_PIXELS = env.int("IMAGE_MAX_PIXELS", default=100_000_000)

# limits of the process that decodes a stranger's file:

# address space, not resident memory: libraries and threads' stacks reserve more than they touch
DECODE_MEMORY_BYTES = env.int("DECODE_MEMORY_BYTES", default=4096 * MIB)
# of the largest file that is allowed; a smaller one has less, the smallest a twentieth. 100 megapixels take 1 to 5 s
DECODE_CPU_SECONDS = env.float("DECODE_CPU_SECONDS", default=15)
# the wall clock, without what the storage takes: more than the CPU time, because processes share their cores
DECODE_WALL_SECONDS = env.float("DECODE_WALL_SECONDS", default=30)
# the largest file that such a process may write: an original that a bucket keeps is one, so at least UPLOAD_MAX_BYTES
DECODE_FILE_BYTES = env.int("DECODE_FILE_BYTES", default=256 * MIB)

# renditions:

# kind -> long side in pixels; faces are looked for on the preview
_sizes = env.dict("RENDITION_SIZES", default={"preview": 1440, "thumb_1200": 1200, "thumb_600": 600, "thumb_300": 300})
RENDITION_SIZES = {kind: int(long_side) for kind, long_side in _sizes.items()}
# of a JPEG, 1 to 95
RENDITION_QUALITY = env.int("RENDITION_QUALITY", default=80)

# places:

# a photo is named after the nearest town, if it is so near (km); at sea it is named after none
PLACE_WITHIN_KM = env.float("PLACE_WITHIN_KM", default=100)

# faces:

# MTCNN finds false faces with a confidence of up to about 0.95
FACE_MIN_CONFIDENCE = env.float("FACE_MIN_CONFIDENCE", default=0.95)
# size x sharpness x pose, each a fraction: below it are faces in profile and faces of 16 pixels, which no
# embedding tells apart; they are stored as candidates
FACE_MIN_QUALITY = env.float("FACE_MIN_QUALITY", default=0.10)
# less confident ones are stored as candidates, so that moving the floor above needs no detection
FACE_CANDIDATE_CONFIDENCE = env.float("FACE_CANDIDATE_CONFIDENCE", default=0.80)
# how near two faces of one person are, in the metric of the model in use; None: the model's own threshold
FACE_CLUSTER_THRESHOLD: float | None = env.float("FACE_CLUSTER_THRESHOLD", default=None)
# of the box's longer side, added all round: room to turn a face upright without leaving the chip
FACE_CHIP_MARGIN = env.float("FACE_CHIP_MARGIN", default=0.5)
# pixels; the largest input of a face model is 160, and the box is half the chip
FACE_CHIP_MAX_SIDE = env.int("FACE_CHIP_MAX_SIDE", default=400)
# higher than a rendition's: chips are what later models will read
FACE_CHIP_QUALITY = env.int("FACE_CHIP_QUALITY", default=92)

# search:

# how long a web thread waits for a worker that embeds the words of a search, or the face on a picture that was sent
SEARCH_TEXT_SECONDS = env.float("SEARCH_TEXT_SECONDS", default=4)
SEARCH_FACE_SECONDS = env.float("SEARCH_FACE_SECONDS", default=12)
# of a picture whose face is searched for; it is kept in the database for some seconds
SEARCH_FACE_MAX_BYTES = env.int("SEARCH_FACE_MAX_BYTES", default=20 * MIB)
# so many may wait at once for all web servers together, so that a worker that is late holds up nothing else
SEARCHES_AT_ONCE = env.int("SEARCHES_AT_ONCE", default=16)

# the ledger:

LEDGER_LEASE_SECONDS = env.int("LEDGER_LEASE_SECONDS", default=60)
LEDGER_MAX_ATTEMPTS = env.int("LEDGER_MAX_ATTEMPTS", default=3)
LEDGER_SWEEP_SECONDS = env.int("LEDGER_SWEEP_SECONDS", default=30)
# how often leases are looked for that have run out, and retries whose time has come
LEDGER_TEND_SECONDS = env.int("LEDGER_TEND_SECONDS", default=5)
# after a failed attempt; doubled after each further one
LEDGER_BACKOFF_SECONDS = env.float("LEDGER_BACKOFF_SECONDS", default=5)
# after trouble of the database, the broker or the storage, which costs no attempt
LEDGER_INFRASTRUCTURE_WAIT_SECONDS = env.float("LEDGER_INFRASTRUCTURE_WAIT_SECONDS", default=10)
# after the database's: that a run could be given back shows that the trouble is over
LEDGER_DATABASE_WAIT_SECONDS = env.float("LEDGER_DATABASE_WAIT_SECONDS", default=2)
# a run that is handed back while its worker does others of its kind waits longer each time, up to this
LEDGER_HAND_BACK_MAX_WAIT_SECONDS = env.float("LEDGER_HAND_BACK_MAX_WAIT_SECONDS", default=600)
# so often, which takes about an hour: then it is the object that is unreadable and not the store, and attempts count
LEDGER_HAND_BACKS = env.int("LEDGER_HAND_BACKS", default=10)
# a task claims runs until it has done this many or worked this long: a warm shutdown waits no longer
LEDGER_TASK_RUNS = env.int("LEDGER_TASK_RUNS", default=32)
LEDGER_TASK_SECONDS = env.int("LEDGER_TASK_SECONDS", default=30)
# in a rolling upgrade: how long runs that a newer release has planned wait for a worker that knows their version,
# before an older one that is left alone plans them its own way
UNKNOWN_VERSION_WAIT_SECONDS = env.int("UNKNOWN_VERSION_WAIT_SECONDS", default=3600)
# after SIGTERM: what is not committed by then is handed back, and other workers have it at once
WORKER_STOP_GRACE_SECONDS = env.float("WORKER_STOP_GRACE_SECONDS", default=5)
# hints that one sweep sends for one stage: workers that find work ring again by themselves
LEDGER_RING_MESSAGES = env.int("LEDGER_RING_MESSAGES", default=8)
# a web process waits so long for each answer to its messages, then sends none for 5 s: an upload is answered whatever
# the broker does, and the next sweep rings for what was held back. More where Redis is far away
REQUEST_BROKER_SECONDS = env.float("REQUEST_BROKER_SECONDS", default=0.15)
# photos that one claim takes at once: how batches for the device form
FACES_BATCH_SIZE = env.int("FACES_BATCH_SIZE", default=8)
EMBEDDINGS_BATCH_SIZE = env.int("EMBEDDINGS_BATCH_SIZE", default=32)

# a stage is paused by itself when this many runs, and none but failing ones, were handed back within the window for one
# reason that is the infrastructure's
CIRCUIT_RUNS = env.int("CIRCUIT_RUNS", default=5)
CIRCUIT_WINDOW_SECONDS = env.float("CIRCUIT_WINDOW_SECONDS", default=60)
# from the first to the last of them: a hiccup is no outage
CIRCUIT_SECONDS = env.float("CIRCUIT_SECONDS", default=5)
# until one run is let through to see whether the trouble is over; doubled after each that fails
CIRCUIT_FIRST_WAIT_SECONDS = env.float("CIRCUIT_FIRST_WAIT_SECONDS", default=10)
# how much longer than the trouble itself the pause may last, a sweep aside
CIRCUIT_MAX_WAIT_SECONDS = env.float("CIRCUIT_MAX_WAIT_SECONDS", default=60)

# hard limits of tasks; the soft ones are nine tenths:

# below the lease, so that no live process outlives its lease
STAGE_TASK_TIME_LIMIT = env.int("STAGE_TASK_TIME_LIMIT", default=50)
MAINTENANCE_TASK_TIME_LIMIT = env.int("MAINTENANCE_TASK_TIME_LIMIT", default=120)
# grouping a large library; its lease is renewed meanwhile
LIBRARY_TASK_TIME_LIMIT = env.int("LIBRARY_TASK_TIME_LIMIT", default=1800)

# deletion:

# photos that have been in the trash for so long are deleted for good; 0: they stay until somebody deletes them
TRASH_RETENTION_DAYS = env.int("TRASH_RETENTION_DAYS", default=30)
# an upload whose row is not committed so long after its first byte is given up, and its bytes are deleted
UPLOAD_SWEEP_SECONDS = env.int("UPLOAD_SWEEP_SECONDS", default=3600)
# where objects were deleted it is looked once more after this: the last process that might still write has ended by
# then, which its lease and its time limit see to
OBJECT_SWEEP_AGAIN_SECONDS = 2 * (LEDGER_LEASE_SECONDS + STAGE_TASK_TIME_LIMIT)

# exports:

# an export is kept for so long after it was made
EXPORT_LIFETIME_DAYS = env.float("EXPORT_LIFETIME_DAYS", default=7)
# of exports that are being made or kept an account has so many at most: each may be as large as its library
EXPORT_MAX_OPEN = env.int("EXPORT_MAX_OPEN", default=10)
# a file of an export ends behind the photo that makes it so large, and the next one begins: what is lost where a worker
# dies is one of them
EXPORT_FILE_BYTES = env.int("EXPORT_FILE_BYTES", default=2048 * MIB)
# more is not sent while somebody waits, and a thread of the web server with them, but made in the background
EXPORT_STREAM_PHOTOS = env.int("EXPORT_STREAM_PHOTOS", default=500)
EXPORT_STREAM_BYTES = env.int("EXPORT_STREAM_BYTES", default=2048 * MIB)

# the audit trail:

# how often events that were committed are chained
AUDIT_SEAL_SECONDS = env.int("AUDIT_SEAL_SECONDS", default=60)

# observation:

# a queue whose live workers do not answer a message for so long is said to be deaf
CANARY_SECONDS = env.int("CANARY_SECONDS", default=300)
# a worker serves its metrics on the first free port from here on
METRICS_PORT = env.int("METRICS_PORT", default=9180)
# metrics are not for strangers: a host that is scraped from outside says so
METRICS_HOST = env.str("METRICS_HOST", default="127.0.0.1")
