"""Redis, and the stores of originals and renditions."""

import time
from typing import Any

from django.conf import settings
from redis.exceptions import RedisError

from config.health.findings import Finding
from photos.storage import ORIGINALS, RENDITIONS
from photos.storage_probe import StoreState, probe_store
from processing.broker import hurried_client, refusal

MUCH_MEMORY = 0.9
LITTLE_SPACE = 0.05


def check_redis() -> Finding:
    """Ask the broker, and the cache where it is another server; give memory, clients and the messages in each queue."""
    finding = Finding()
    with hurried_client(settings.CELERY_BROKER_URL) as broker:
        started = time.perf_counter()
        broker.ping()
        finding.detail["latency_ms"] = round((time.perf_counter() - started) * 1000, 2)
        refused = refusal(broker)
        info = broker.info()
        finding.detail |= {
            "version": info["redis_version"],
            "memory": {"used_bytes": info["used_memory"], "max_bytes": info["maxmemory"] or None},
            "clients": {"connected": info["connected_clients"], "max": info.get("maxclients")},
            "takes_messages": not refused,
            "messages": {queue: broker.llen(queue) for queue in settings.QUEUES},
        }
    if refused:
        finding.degrade(f"Redis answers and takes no messages: {refused}. Uploads go on; work waits")
    elif info["maxmemory"] and info["used_memory"] > MUCH_MEMORY * info["maxmemory"]:
        finding.degrade(f"{info['used_memory']:,} of {info['maxmemory']:,} bytes of memory are used")
    try:
        with hurried_client(settings.CACHES["default"]["LOCATION"]) as cache:
            cache.ping()
    except RedisError as error:
        finding.fail(f"the cache does not answer: {error}")
    return finding


def check_storage() -> Finding:
    """Write to each disk, or ask for each bucket; give the space that is left."""
    finding = Finding()
    for alias in (ORIGINALS, RENDITIONS):
        try:
            state = probe_store(alias)
        except Exception as error:  # noqa: BLE001 - one store's trouble says nothing of the other's
            finding.fail(f"{alias}: {type(error).__name__}: {error}")
            finding.detail[alias] = {"reachable": False}
        else:
            finding.detail[alias] = {"reachable": True, **_described(state)}
            _judge_space(finding, alias, state)
    return finding


def _described(state: StoreState) -> dict[str, Any]:
    described: dict[str, Any] = {"kind": state.kind, "location": state.location}
    if state.free_bytes is not None:
        described |= {"free_bytes": state.free_bytes, "total_bytes": state.total_bytes}
    return described


def _judge_space(finding: Finding, alias: str, state: StoreState) -> None:
    if state.free_bytes is None or not state.total_bytes:
        return
    if state.free_bytes < settings.UPLOAD_MAX_BYTES:
        finding.fail(f"{alias}: {state.free_bytes:,} bytes are left, less than one upload may have")
    elif state.free_bytes < LITTLE_SPACE * state.total_bytes:
        finding.degrade(f"{alias}: {state.free_bytes / state.total_bytes:.1%} of the disk are left")
