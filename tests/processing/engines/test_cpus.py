"""How many processors a process may use, as the files of Linux say it."""

import os
from pathlib import Path

import pytest

from processing.engines.cpus import usable_cpus

CORES = len(os.sched_getaffinity(0))


def quota(tmp_path: Path, membership: str, files: dict[str, str]) -> float:
    """What is found where the process is in these groups, whose folders hold these files."""
    for name, text in files.items():
        path = tmp_path / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "membership").write_text(membership)
    return usable_cpus(cgroups=tmp_path / "cgroup", membership=tmp_path / "membership")


@pytest.mark.parametrize(
    ("membership", "files", "found"),
    [
        ("0::/\n", {"cpu.max": "50000 100000\n"}, 0.5),
        ("0::/\n", {"cpu.max": "max 100000\n"}, CORES),
        ("0::/\n", {"cpu.max": "900000000 100000\n"}, CORES),
        ("0::/\n", {}, CORES),
        # the least of a group and those around it counts
        ("0::/a/b\n", {"a/b/cpu.max": "75000 100000", "a/cpu.max": "25000 100000", "cpu.max": "max 100000"}, 0.25),
        # a container that sees its own group alone, under the name that it has on the host
        ("0::/docker/1f\n", {"cpu.max": "50000 100000"}, 0.5),
        # the first version, beside groups that say nothing of processors
        (
            "5:cpuset:/\n4:cpu,cpuacct:/docker/1f\n1:name=systemd:/\n0::/\n",
            {"cpu,cpuacct/cpu.cfs_quota_us": "30000\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"},
            0.3,
        ),
        (
            "4:cpu,cpuacct:/\n",
            {"cpu,cpuacct/cpu.cfs_quota_us": "-1\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"},
            CORES,
        ),
    ],
)
def test_quotas(tmp_path: Path, membership: str, files: dict[str, str], found: float) -> None:
    assert quota(tmp_path, membership, files) == found


def test_a_system_without_groups(tmp_path: Path) -> None:
    assert usable_cpus(cgroups=tmp_path, membership=tmp_path / "nothing") == CORES


def test_the_affinity_of_this_process_counts() -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert usable_cpus() <= 1
    finally:
        os.sched_setaffinity(0, before)
    assert 0 < usable_cpus() <= CORES
