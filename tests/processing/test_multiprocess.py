import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def run(program: str) -> str:
    """Run a program in an interpreter of its own, since counting is settled when prometheus_client is imported."""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_child_in_a_dead_ones_place_goes_on_counting_in_its_file() -> None:
    output = run("""
import os, pathlib
from billiard import Process
from processing import multiprocess
multiprocess.begin(name="test", identify=multiprocess.pool_slot)
from prometheus_client import Counter, generate_latest
counter = Counter("photos", "Photos.")
folder = pathlib.Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
counter.inc()
for slot, end in ((0, "os._exit(1)"), (1, "pass"), (0, "pass")):
    child = Process(target=lambda: (counter.inc(10), exec(end)))
    child.index = slot
    child.start()
    child.join()
print(sorted(path.name for path in folder.iterdir()))
print([line for line in generate_latest(multiprocess.registry()).decode().splitlines() if line[0] != "#"])
print(folder)
""")
    files, metrics, folder = output.splitlines()
    assert files == "['counter_parent.db', 'counter_slot1.db', 'counter_slot2.db']"
    assert metrics == "['photos_total 31.0']"
    assert not Path(folder).exists()


def test_spawned_children_are_added_up_too() -> None:
    output = run("""
import subprocess, sys
from processing import multiprocess
multiprocess.begin(name="test", identify=multiprocess.pool_slot)
from prometheus_client import generate_latest
program = 'from prometheus_client import Counter; Counter("photos", "Photos.").inc(4)'
for _ in range(2):
    subprocess.run([sys.executable, "-c", program], check=True)
print([line for line in generate_latest(multiprocess.registry()).decode().splitlines() if line[0] != "#"])
""")
    assert output == "['photos_total 8.0']\n"


def test_it_is_refused_when_it_is_too_late() -> None:
    output = run("""
import prometheus_client
from processing import multiprocess
try:
    multiprocess.begin(name="test")
except RuntimeError as error:
    print(error)
print(multiprocess.registry() is prometheus_client.REGISTRY)
""")
    assert output == "prometheus_client was imported already: it counts for this process alone\nTrue\n"


def test_a_process_without_children_counts_for_itself() -> None:
    output = run("""
import os
from processing import multiprocess
from prometheus_client import Counter, generate_latest
Counter("photos", "Photos.").inc(2)
print("PROMETHEUS_MULTIPROC_DIR" in os.environ, "photos_total 2.0" in generate_latest(multiprocess.registry()).decode())
""")
    assert output == "False True\n"


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path) -> None:
    output = run(f"""
import os, subprocess, sys, tempfile
from pathlib import Path
tempfile.tempdir = {str(tmp_path)!r}
gone = subprocess.Popen([sys.executable, "-c", ""])
gone.wait()
for owner in (gone.pid, os.getppid()):
    Path(tempfile.tempdir, f"darkroom-test-metrics-{{owner}}-abc").mkdir()
Path(tempfile.tempdir, f"darkroom-other-metrics-{{gone.pid}}-abc").mkdir()
from processing import multiprocess
multiprocess.begin(name="test")
left = sorted(path.name.rpartition("-")[0] for path in Path(tempfile.tempdir).iterdir())
print(left == sorted([f"darkroom-test-metrics-{{os.getpid()}}", f"darkroom-test-metrics-{{os.getppid()}}",
                      f"darkroom-other-metrics-{{gone.pid}}"]))
""")
    assert output == "True\n"
