"""The logs of the processes of a run, which live as long as the installation."""

import sys
from pathlib import Path

import pytest

from config.running.processes import LOG_MAX_BYTES, Children


@pytest.mark.parametrize("is_long", [False, True])
def test_a_long_log_is_put_aside_at_the_start(tmp_path: Path, is_long: bool) -> None:
    log = tmp_path / "logs" / "worker-ingest.log"
    log.parent.mkdir()
    log.write_bytes(b"old\n".rjust(LOG_MAX_BYTES + is_long, b"."))
    children = Children(directory=tmp_path, log_folder=log.parent)

    children.start("worker-ingest", [sys.executable, "-c", "print('new')"])
    children._children[0].process.wait(60)

    aside = log.with_name("worker-ingest.log.1")
    assert aside.exists() == is_long
    if is_long:
        assert log.read_text() == "new\n"
        assert aside.stat().st_size == LOG_MAX_BYTES + 1
    else:
        assert log.stat().st_size == LOG_MAX_BYTES + len("new\n")
    assert children.stop() == []
