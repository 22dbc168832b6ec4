"""The embedded services around a run: started before Django reads its settings, stopped by whoever started them."""

from collections.abc import Iterator
from contextlib import contextmanager

from config import embedded
from config.settings.environment import VAR_DIR, env


@contextmanager
def embedded_services() -> Iterator[None]:
    """Start PostgreSQL and Redis where no address is given; afterwards stop those that were started here."""
    wanted = _wanted()
    started = embedded.start(VAR_DIR, only=wanted).started if wanted else frozenset()
    try:
        yield
    finally:
        if started:
            embedded.stop(VAR_DIR, only=started)


def start_again() -> frozenset[str]:
    """Start those of the embedded services that have ended by themselves; gives their names."""
    wanted = _wanted()
    running = embedded.running(VAR_DIR)
    addresses = {embedded.POSTGRES: running and running.database_url, embedded.REDIS: running and running.redis_url}
    if all(addresses[name] for name in wanted):
        return frozenset()
    return embedded.start(VAR_DIR, only=wanted).started


def _wanted() -> list[str]:
    services = ((embedded.POSTGRES, "DATABASE_URL"), (embedded.REDIS, "REDIS_URL"))
    return [name for name, variable in services if not env.str(variable, default="")]
