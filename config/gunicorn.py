"""Gunicorn's settings: `gunicorn -c python:config.gunicorn config.wsgi`. The command line goes before them."""

from pathlib import Path

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
# its default path is the same for every gunicorn of a user
control_socket_disable = True
logconfig_dict = LOGGING
