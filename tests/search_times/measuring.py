"""Times and plans of requests, inside one process: middleware, view, database and JSON; no network."""

import re
import time
from dataclasses import dataclass

import numpy as np
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from search_times.cases import LIMITS, Case

REQUESTS = 40
_INDEX = re.compile(r"(?:using|on) (photo_\w+|photos_\w+|stage_run_\w+|favourite_\w+|processing_\w+)")


@dataclass(frozen=True, slots=True)
class Measured:
    """A case with the milliseconds of its requests and the indexes of their plans."""

    case: Case
    milliseconds: np.ndarray
    indexes: list[str]
    slowest: str

    @property
    def p50(self) -> float:
        """The median."""
        return float(np.percentile(self.milliseconds, 50))

    @property
    def p95(self) -> float:
        """What 95 of 100 do not exceed."""
        return float(np.percentile(self.milliseconds, 95))

    @property
    def is_fast(self) -> bool:
        """Whether it keeps what is promised."""
        return self.p95 < LIMITS[self.case.path]


def measure(case: Case, client: APIClient, *, seed: int, requests: int = REQUESTS) -> Measured:
    """Ask a case again and again, with another value each time."""
    random = np.random.default_rng(seed)
    queries = [case.draw(random) for _ in range(requests)]
    spent = []
    for query in queries:
        started = time.perf_counter()
        response = client.get(f"/api/v1/{case.path}?{query}")
        spent.append(1000 * (time.perf_counter() - started))
        if response.status_code != 200:
            raise RuntimeError(f"{case.name}: {query}: {response.content!r}")
    indexes = sorted({one for query in queries[:5] for one in _indexes(client, f"/api/v1/{case.path}?{query}")})
    return Measured(case, np.array(spent), indexes, queries[int(np.argmax(spent))])


def _indexes(client: APIClient, address: str) -> set[str]:
    """Give the indexes by which the photos of a page are found."""
    with CaptureQueriesContext(connection) as captured:
        client.get(address)
    found = set()
    for query in captured.captured_queries:
        if (
            re.search(r'FROM "photos_(photo|phototag|face)"', query["sql"]) and "LIMIT" in query["sql"]
        ) or "COUNT(" in query["sql"]:
            with connection.cursor() as cursor:
                cursor.execute("EXPLAIN " + query["sql"])
                found |= set(_INDEX.findall("\n".join(row[0] for row in cursor.fetchall())))
    return found - {"photos_photo", "photos_face", "photos_phototag", "processing_stagerun"}
