"""The alerts: each fires when it should, and watches numbers that are really given."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from django.conf import settings
from prometheus_client import REGISTRY

from config.event_stream import metrics as event_metrics
from processing import metrics, sweeps
from processing.collector import LedgerCollector
from processing.metrics_server import ProcessTreeCollector

FOLDER = Path(settings.BASE_DIR) / "compose" / "prometheus"


def rules() -> list[dict[str, object]]:
    groups = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def promtool(program: Callable[[str], str], *arguments: str, folder: Path = FOLDER) -> subprocess.CompletedProcess[str]:
    command = [program("promtool"), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def test_the_rules_are_rules(program: Callable[[str], str]) -> None:
    checked = promtool(program, "check", "rules", "alerts.yml")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"SUCCESS: {len(rules())} rules found" in checked.stdout


def test_every_alert_fires_when_it_should_and_not_before(program: Callable[[str], str]) -> None:
    tested = promtool(program, "test", "rules", "alerts_test.yml")
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_an_alert_that_fires_too_late_is_noticed(program: Callable[[str], str], tmp_path: Path) -> None:
    for name in ("alerts.yml", "alerts_test.yml"):
        shutil.copy(FOLDER / name, tmp_path)
    rule = (tmp_path / "alerts.yml").read_text()
    (tmp_path / "alerts.yml").write_text(rule.replace("(darkroom_queue_deaf) == 1", "(darkroom_queue_deaf) == 2"))
    tested = promtool(program, "test", "rules", "alerts_test.yml", folder=tmp_path)
    assert tested.returncode == 1
    assert "DarkroomQueueDeaf" in tested.stdout + tested.stderr


def test_every_alert_is_tested_firing_and_says_what_is_wrong() -> None:
    cases = yaml.safe_load((FOLDER / "alerts_test.yml").read_text())["tests"]
    fired = {one["alertname"] for case in cases for one in case["alert_rule_test"] if one["exp_alerts"]}
    assert {rule["alert"] for rule in rules()} == fired
    for rule in rules():
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert rule["annotations"]["summary"].endswith(".") or "Was it" in rule["annotations"]["summary"]


def given_names() -> set[str]:
    """Everything that a scrape of the web process, the workers and the process of events may give."""
    counted = {sample.name for family in REGISTRY.collect() for sample in family.samples}
    # a counter with labels has no sample before it is first used
    counted |= {f"{family.name}_total" for family in REGISTRY.collect() if family.type == "counter"}
    read = (*LedgerCollector().collect(), *ProcessTreeCollector().collect())
    return counted | {family.name for family in read}


@pytest.mark.django_db
def test_every_number_that_an_alert_watches_is_given() -> None:
    sweeps.note_sweep()
    watched = {name for rule in rules() for name in re.findall(r"\bdarkroom_\w+", rule["expr"])}
    assert len(watched) == 19
    assert watched <= given_names()
    assert {"darkroom_expired_leases_total", event_metrics.FEED_UP._name} <= watched
    # it starts at zero, or the first that expires would be no increase
    assert metrics.EXPIRED_LEASES.collect()[0].samples[0].name == "darkroom_expired_leases_total"


@pytest.mark.parametrize(("insisting", "expected"), [("1", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_a_missing_program_is_said(
    program: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, insisting: str, expected: type[BaseException]
) -> None:
    monkeypatch.setenv("DARKROOM_INSIST_ON_PROGRAMS", insisting)
    with pytest.raises(expected, match="the program no-such-program is not installed"):
        program("no-such-program")
