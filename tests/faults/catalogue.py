"""Every fault, in the order in which a full run takes them."""

from faults.fault import Fault
from faults.kinds import (
    beats,
    broker,
    clocks,
    delivery,
    erasing,
    kills,
    postgres,
    races,
    releases,
    stopping,
    storage,
    uploads,
    zombies,
)

FAULTS: dict[str, type[Fault]] = {
    fault.name: fault
    for fault in (
        kills.ChildKill,
        kills.WorkerKill,
        stopping.SigtermRolling,
        broker.RedisRestart,
        broker.RedisWipe,
        broker.RedisDown,
        broker.RedisFlap,
        broker.RedisFull,
        postgres.PostgresRestart,
        postgres.BackendTerminated,
        delivery.DuplicateDelivery,
        delivery.ShortVisibility,
        zombies.SigstopPastLease,
        beats.TwoBeats,
        storage.StorageTrouble,
        storage.DiskFull,
        clocks.ClockSkew,
        races.ClaimRace,
        races.TrashRace,
        releases.MixedReleases,
        erasing.DeletedMeanwhile,
        erasing.SwitchedOff,
        uploads.UploadCut,
    )
}


def chosen(names: str) -> list[Fault]:
    """Give the faults of a list with commas, in their own order; all of them where it is empty. Raises KeyError."""
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    unknown = sorted(set(wanted) - set(FAULTS))
    if unknown:
        raise KeyError(f"there is no fault {', '.join(unknown)}: name some of {', '.join(FAULTS)}")
    return [fault() for name, fault in FAULTS.items() if not wanted or name in wanted]
