"""PostgreSQL and Redis for a machine that has neither: the same engines as in production, below VAR_DIR.

Django's settings are not needed here; they ask `running` where the services are.
"""

from config.embedded.errors import EmbeddedServiceError
from config.embedded.services import POSTGRES, REDIS, Services, data_folder, remove, running, start, stop

__all__ = [
    "POSTGRES",
    "REDIS",
    "EmbeddedServiceError",
    "Services",
    "data_folder",
    "remove",
    "running",
    "start",
    "stop",
]
