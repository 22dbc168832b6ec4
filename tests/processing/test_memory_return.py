"""What a decoder leaves of the heap goes back to the system after a task that found work."""

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

# holes: blocks of less than an mmap's worth, freed between small ones that stay
PROGRAM = """
import ctypes, sys
from pathlib import Path
from processing import worker_signals

def anonymous():
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]
    return int(dict(line.split(":", 1) for line in lines)["Pss_Anon"].split()[0]) // 1024

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
before = anonymous()
blocks = []
for _ in range(1000):
    # small ones would be found among what imports have freed, and the blocks would lie side by side
    block, kept = libc.malloc(100_000), libc.malloc(20_000)
    ctypes.memset(block, 1, 100_000)
    blocks.append(block)
for block in blocks:
    libc.free(block)
held = anonymous() - before
worker_signals.give_memory_back(retval=0)
idle = anonymous() - before
worker_signals.give_memory_back(retval=3)
print(held, idle, anonymous() - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="malloc_trim is glibc's")
def test_a_task_that_worked_gives_its_memory_back() -> None:
    root = Path(__file__).resolve().parents[2]
    environment = {"PYTHONPATH": str(root), "DJANGO_SETTINGS_MODULE": "config.settings.test"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, cwd=root, capture_output=True, text=True, check=True
    )
    held, idle, given_back = (int(one) for one in done.stdout.split())
    assert held > 80
    assert idle > 80
    assert given_back < 20
