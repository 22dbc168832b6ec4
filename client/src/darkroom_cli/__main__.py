"""`python -m darkroom_cli` is `darkroom`."""

from darkroom_cli.main import run

run()
