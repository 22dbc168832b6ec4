"""Wraps the named points when Django has loaded every app: in the server, in workers and in each spawned child."""

from django.apps import AppConfig
from django.conf import settings


class FaultsConfig(AppConfig):
    """The harness's part inside the processes that it starts."""

    name = "faults"

    def ready(self) -> None:
        """Wrap the points: of Darkroom, or of the plain pipeline that it is compared with; none of a bare one."""
        if settings.FAULTS_PIPELINE == "bare":
            return
        if settings.FAULTS_PIPELINE == "plain":
            from faults import plain

            plain.install(settings.FAULTS_DIR)
            return
        from faults import points

        points.install(settings.FAULTS_DIR)
