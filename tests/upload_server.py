"""A real web server for uploads, a client that breaks off on purpose, and pictures that are large and real."""

import random
import re
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import requests
from django.conf import settings

VERSION = {"Tus-Resumable": "1.0.0"}
SEND_BYTES = 256 * 1024
PATIENCE_SECONDS = 60.0


@dataclass
class Server:
    """A running gunicorn: its process and its address."""

    process: subprocess.Popen
    url: str

    def kill(self) -> None:
        """Kill it and its children, as a power cut does."""
        import psutil

        for one in [*psutil.Process(self.process.pid).children(recursive=True), psutil.Process(self.process.pid)]:
            one.kill()
        self.process.wait(30)


@contextmanager
def serving(environment: dict[str, str], log: Path) -> Iterator[Server]:
    """Start gunicorn with its own settings, on a free port, and stop it at the end."""
    command = [sys.executable, "-m", "gunicorn", "-c", "python:config.gunicorn", "config.wsgi"]
    with log.open("w") as output:
        process = subprocess.Popen(
            [*command, "--workers", "1", "--bind", "127.0.0.1:0"],
            cwd=settings.BASE_DIR,
            env=environment,
            stdout=output,
            stderr=output,
        )
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (found := re.search(r"Listening at: (http://[\d.:]+)", log.read_text())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield Server(process, found[1])
    finally:
        if process.poll() is None:
            process.terminate()
            assert process.wait(30) == 0, log.read_text()


def write_tiff(path: Path, *, width: int, height: int, seed: int) -> None:
    """Write a real picture without compression: RGB of 16 bits, 6 bytes a pixel, of noise (TIFF 6.0)."""
    size = width * height * 6
    entries = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 3, 134), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 140),
        (277, 3, 1, 3), (278, 4, 1, height), (279, 4, 1, size), (284, 3, 1, 1),
    ]  # fmt: skip
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *one) for one in entries) + bytes(4)
    head = b"II*\0" + struct.pack("<I", 8) + directory + struct.pack("<HHH", 16, 16, 16)
    assert len(head) == 140
    noise = random.Random(seed)
    with path.open("wb") as file:
        file.write(head)
        for start in range(0, size, 1 << 20):
            file.write(noise.randbytes(min(1 << 20, size - start)))


def send_and_break_off(
    address: str,
    file: Path,
    *,
    headers: dict[str, str],
    offset: int,
    until: int,
    reset: bool = False,
    pause: float = 0,
) -> None:
    """Announce the rest of a file, send it up to a byte, and be gone: with a reset, or an end in good order.

    `pause` is waited after each 256 KiB, in seconds.
    """
    parts, left = urlsplit(address), file.stat().st_size - offset
    lines = [
        f"PATCH {parts.path} HTTP/1.1",
        f"Host: {parts.netloc}",
        "Tus-Resumable: 1.0.0",
        "Content-Type: application/offset+octet-stream",
        f"Upload-Offset: {offset}",
        f"Content-Length: {left}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    with socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE_SECONDS) as connection:
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        with file.open("rb") as source:
            source.seek(offset)
            while offset < until and (data := source.read(min(SEND_BYTES, until - offset))):
                connection.sendall(data)
                offset += len(data)
                time.sleep(pause)
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def settled_offset(address: str, *, headers: dict[str, str]) -> int:
    """Ask where an upload goes on, when the server has noticed that nobody sends any more."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        answer = requests.head(address, headers={**VERSION, **headers}, timeout=PATIENCE_SECONDS)
        assert answer.status_code == 200, answer.headers
        offset = int(answer.headers["Upload-Offset"])
        probe = {**VERSION, **headers, "Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
        # a request without bytes changes nothing, and is let in when nobody else is at it
        status = requests.patch(address, headers=probe, data=b"", timeout=PATIENCE_SECONDS).status_code
        if status == 204:
            return offset
        assert status in {409, 423}, status
        assert time.monotonic() < deadline
        time.sleep(0.05)
