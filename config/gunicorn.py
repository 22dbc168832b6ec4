"""Gunicorn's settings: `gunicorn -c python:config.gunicorn config.wsgi`. The command line goes before them."""

import gc
from pathlib import Path

from django.urls import get_resolver
from gunicorn.workers.base import Worker

from config.settings.logs import LOGGING
from processing import multiprocess

# before a worker imports Django: every process counts for all of them
multiprocess.begin(name="web")

# requests wait for the database and the stores most of the time
worker_class = "gthread"
workers = 2
threads = 16
# heartbeats of workers on a disk would make them wait for it
_MEMORY = Path("/dev/shm")  # noqa: S108 - gunicorn makes a file of its own there, and unlinks it
worker_tmp_dir = str(_MEMORY) if _MEMORY.is_dir() else None
# as long as nginx passes it on: a filter by 80 ids is longer than the default of 4094 bytes
limit_request_line = 8190
# its default path is the same for every gunicorn of a user
control_socket_disable = True
logconfig_dict = LOGGING


def post_worker_init(_worker: Worker) -> None:
    """Load what the first request would wait for, and have the garbage collector pass over what is loaded.

    Looking through all of it took a tenth of a second, now and then, in the middle of a request.
    """
    get_resolver().url_patterns  # noqa: B018 - imports every view
    gc.collect()
    gc.freeze()
