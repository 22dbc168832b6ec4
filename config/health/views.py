"""The pages of probes, operators and Prometheus. Strangers learn one word."""

from collections.abc import Iterable
from functools import cache
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from accounts.api.problems import MEDIA_TYPE
from config.health import checks
from config.health.access import is_insider
from config.health.findings import Status, worst
from config.problems import problem
from processing import multiprocess
from processing.collector import LedgerCollector

NOT_KEPT = {"Cache-Control": "no-store"}


@require_safe
def live(_request: HttpRequest) -> JsonResponse:
    """Say that this process answers; asks nothing of anybody."""
    return _respond({"status": Status.OK})


@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """Say whether requests can be served: database, Redis, storage."""
    return _respond(report(request, kind="ready"))


@require_safe
def health(request: HttpRequest) -> JsonResponse:
    """Say how every component is."""
    return _respond(report(request, kind="health"))


@require_safe
def health_of_database(request: HttpRequest) -> JsonResponse:
    """Say how the database is."""
    return _respond(report(request, kind="health", components=["database"]))


@require_safe
def health_of_models(request: HttpRequest) -> JsonResponse:
    """Say which models there are, and whether a worker serves them."""
    return _respond(report(request, kind="health", components=["models"]))


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Give the metrics of the web's processes, and of the ledger."""
    if not is_insider(request):
        refusal = problem(403, code="not_permitted", detail="Metrics are for staff, and for programs with the token.")
        return JsonResponse(refusal, status=403, content_type=MEDIA_TYPE, headers=NOT_KEPT)
    body = generate_latest(multiprocess.registry()) + generate_latest(_ledger_registry())
    return HttpResponse(body, content_type=CONTENT_TYPE_LATEST, headers=NOT_KEPT)


def report(request: HttpRequest, *, kind: str, components: Iterable[str] | None = None) -> dict[str, Any]:
    """Give the overall status and, to an insider, what was found of each component."""
    found = checks.findings(kind, components)
    said: dict[str, Any] = {"status": worst(finding.status for finding in found.values())}
    if is_insider(request):
        said["components"] = {name: finding.as_json() for name, finding in found.items()}
    return said


def status_code(said: dict[str, Any]) -> int:
    """Give 503 for what does not serve; whatever needs a look only is still 200."""
    return 503 if said["status"] == Status.FAILING else 200


def _respond(said: dict[str, Any]) -> JsonResponse:
    return JsonResponse(said, status=status_code(said), headers=NOT_KEPT)


@cache
def _ledger_registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(LedgerCollector())
    return registry
