"""Times and plans of requests, inside one process: middleware, view, database and JSON; no network."""

import re
import time
from dataclasses import dataclass

import numpy as np
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from search_times.cases import COUNTS, LIMITS, Case

REQUESTS = 40
# as many of them are explained
EXPLAINED = 8
_INDEX = re.compile(r"(?:using|Bitmap Index Scan on) (\w+)")
# tables that no list may read from end to end; what counts what most photos are does
_SCAN = re.compile(r"Seq Scan on (photos_(?:photo|face|phototag|faceembedding|photofingerprint)|processing_stagerun)\b")
# of the page that was found; what finds it comes before
_DESCRIPTION = re.compile(r'SELECT "photos_(photo|face)"\."id", "photos_\1"\."(library|photo)_id"')


@dataclass(frozen=True, slots=True)
class Measured:
    """A case with the milliseconds of its requests, and the indexes and scans of their plans."""

    case: Case
    milliseconds: np.ndarray
    indexes: list[str]
    slowest: str
    faults: list[str]

    @property
    def p50(self) -> float:
        """The median."""
        return float(np.percentile(self.milliseconds, 50))

    @property
    def p95(self) -> float:
        """What 95 of 100 do not exceed."""
        return float(np.percentile(self.milliseconds, 95))

    @property
    def keeps_its_promise(self) -> bool:
        """Whether it is as fast as is promised, by its indexes."""
        return self.p95 < LIMITS[self.case.path] and not self.faults


def measure(case: Case, client: APIClient, *, seed: int, requests: int = REQUESTS) -> Measured:
    """Ask a case again and again, with another value each time."""
    random = np.random.default_rng(seed)
    addresses = [case.address(random) for _ in range(requests)]
    spent = []
    for address in addresses:
        started = time.perf_counter()
        response = client.get(address)
        spent.append(1000 * (time.perf_counter() - started))
        if response.status_code != 200:
            raise RuntimeError(f"{case.name}: {address}: {response.content!r}")
    found, faults = set(), []
    for address in addresses[:EXPLAINED]:
        plan = _plan(client, address)
        used = set(_INDEX.findall(plan))
        found |= used
        if case.path not in COUNTS:
            faults += [f"reads all of {table}: {address}" for table in _SCAN.findall(plan)]
        if case.by and not used & set(case.by):
            faults.append(f"by none of its indexes: {address}")
    return Measured(case, np.array(spent), sorted(found), addresses[int(np.argmax(spent))], faults)


def _plan(client: APIClient, address: str) -> str:
    """Give the plans of the queries by which an answer is found."""
    with CaptureQueriesContext(connection) as captured:
        client.get(address)
    plans = []
    for query in captured.captured_queries:
        asked = query["sql"]
        # a count may be the planner's own estimate, which is no question about rows
        if asked.startswith(("SELECT", "WITH")) and "photos_" in asked and not _DESCRIPTION.match(asked):
            with connection.cursor() as cursor:
                cursor.execute("EXPLAIN " + asked)
                plans += [row[0] for row in cursor.fetchall()]
    return "\n".join(plans)
