"""What the ledger keeps of an error: enough to see what failed, where, and what else failed in the same way."""

import hashlib
from dataclasses import dataclass

DETAIL_MAX_LENGTH = 4000
TRACEBACK_MAX_LENGTH = 20_000
EXCEPTION_MAX_LENGTH = 128
FRAME_MAX_LENGTH = 200


@dataclass(frozen=True, slots=True)
class RunError:
    """An error of one attempt. `code` is stable; `frame` is the innermost one of ours, as `file.py:function`."""

    code: str
    detail: str
    exception: str = ""
    frame: str = ""
    traceback: str = ""

    def columns(self, work: str) -> dict[str, str]:
        """Give the columns of a run of this work. The end of a long traceback is what tells."""
        return {
            "error_code": self.code,
            "error_detail": self.detail[:DETAIL_MAX_LENGTH],
            "exception": self.exception[:EXCEPTION_MAX_LENGTH],
            "frame": self.frame[-FRAME_MAX_LENGTH:],
            "traceback": self.traceback[-TRACEBACK_MAX_LENGTH:],
            "fingerprint": fingerprint(work=work, error=self),
        }


def fingerprint(*, work: str, error: RunError) -> str:
    """Hash what equal failures have in common, as 16 hex digits: not the detail, which names sizes and offsets."""
    parts = "\n".join((work, error.code, error.exception, error.frame))
    return hashlib.sha256(parts.encode()).hexdigest()[:16]
