"""`manage.py events`: the process that streams what happens to those who listen."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from config.event_stream import server


class Command(BaseCommand):
    """Serve /api/v1/events until SIGTERM."""

    help = "Stream events to those who listen (GET /api/v1/events), until SIGTERM. See docs/events.md."

    def add_arguments(self, parser: CommandParser) -> None:
        """Say where it listens."""
        parser.add_argument("--host", default="127.0.0.1", help="The address to listen on; 127.0.0.1 by default.")
        parser.add_argument("--port", type=int, default=8001, help="The port to listen on; 8001 by default.")

    def handle(self, *_args: Any, host: str, port: int, **_options: Any) -> None:
        """Serve."""
        server.serve(host=host, port=port)
