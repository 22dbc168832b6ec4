"""A decoder with faults that a file cannot make in a sound library: each act is done where the C code would run."""

import ctypes
import hashlib
import os
import signal
import time
from collections.abc import Callable
from typing import Any

from django.apps import AppConfig

MARK = b"act out: "

# its functions keep the interpreter's lock, as a decoder that hangs may
C = ctypes.PyDLL(None)


def linger(seconds: float) -> None:
    """Die as the kernel has a process die on a busy host: its files are closed first, and it ends a moment later."""
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    time.sleep(seconds)
    os.kill(os.getpid(), signal.SIGKILL)


ACTS: dict[bytes, Callable[[], object]] = {
    b"segfault": lambda: ctypes.string_at(1),
    b"abort": os.abort,
    b"sleep": lambda: C.sleep(1000),
    b"spin": lambda: hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1),
    # as the kernel does where memory is short
    b"killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    b"exit": lambda: os._exit(3),
    b"linger": lambda: linger(0.3),
}


class HostileDecoderConfig(AppConfig):
    """Puts the faults in front of the decoder of this process and of those forked from it."""

    name = "hostile_decoder"

    def ready(self) -> None:
        from processing.engines.imaging import decoding

        sound = decoding._decode

        def decode(file: decoding.WatchedFile, *arguments: Any) -> decoding.DecodedPhoto:
            file.seek(0)
            _, marked, act = file.read(4096).partition(MARK)
            file.seek(0)
            if marked:
                ACTS[act.partition(b".")[0]]()
            return sound(file, *arguments)

        decoding._decode = decode
