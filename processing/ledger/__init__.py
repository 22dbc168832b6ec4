"""The ledger: PostgreSQL is the truth about every run, a message is only a hint.

Nothing else changes the state of a run. Every time here is the database's, so a worker's clock cannot matter.
"""

from processing.ledger.claiming import Holder, Lease, claim, claim_library_run, is_more_pending, renew
from processing.ledger.errors import RunError
from processing.ledger.finishing import LeaseLostError, mark_done, mark_skipped
from processing.ledger.releasing import (
    Loss,
    expire_leases,
    fail,
    hand_back,
    hand_back_all,
    release_lost,
    release_worker,
)
from processing.ledger.stepping import give_turn, hold, note_progress

__all__ = [
    "Holder",
    "Lease",
    "LeaseLostError",
    "Loss",
    "RunError",
    "claim",
    "claim_library_run",
    "expire_leases",
    "fail",
    "give_turn",
    "hand_back",
    "hand_back_all",
    "hold",
    "is_more_pending",
    "mark_done",
    "mark_skipped",
    "note_progress",
    "release_lost",
    "release_worker",
    "renew",
]
