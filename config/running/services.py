"""The embedded services around a run: started before Django reads its settings, stopped by whoever started them."""

from collections.abc import Iterator
from contextlib import contextmanager

from config import embedded
from config.settings.environment import VAR_DIR, env


@contextmanager
def embedded_services() -> Iterator[None]:
    """Start PostgreSQL and Redis where no address is given; afterwards stop those that were started here."""
    wanted = [
        name
        for name, variable in ((embedded.POSTGRES, "DATABASE_URL"), (embedded.REDIS, "REDIS_URL"))
        if not env.str(variable, default="")
    ]
    started = embedded.start(VAR_DIR, only=wanted).started if wanted else frozenset()
    try:
        yield
    finally:
        if started:
            embedded.stop(VAR_DIR, only=started)
