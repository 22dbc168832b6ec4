"""What the death of a pool child says of the work that it held."""

import re
import signal

DECODE_TIMED_OUT = "decode_timed_out"
DECODE_CPU_EXCEEDED = "decode_cpu_exceeded"
PROCESS_CRASHED = "process_crashed"
PROCESS_KILLED = "process_killed"
WORKER_LOST = "worker_lost"

_CRASHES = (
    signal.SIGSEGV,
    signal.SIGBUS,
    signal.SIGABRT,
    signal.SIGFPE,
    signal.SIGILL,
    signal.SIGSYS,
    signal.SIGTRAP,
)
# of these, the first two are sent by the limits that hold while a file is decoded, and by nothing else here
_LOSSES = {
    signal.SIGALRM: (DECODE_TIMED_OUT, "The file kept its decoder longer than a file of its size may."),
    signal.SIGPROF: (DECODE_CPU_EXCEEDED, "The file used more CPU time than a file of its size may."),
    signal.SIGKILL: (
        PROCESS_KILLED,
        "The process was killed from outside: by the kernel where memory is short, or by a person.",
    ),
    **dict.fromkeys(_CRASHES, (PROCESS_CRASHED, "The process crashed in a library that is not Python.")),
}
# the words in which billiard tells of a child's end
_SIGNAL = re.compile(r"\bsignal (\d+)")
_EXIT = re.compile(r"\bexitcode (\d+)")


def describe_loss(error: BaseException) -> tuple[str, str]:
    """Give the stable code, and the detail for a person, of a child's death, as the pool reports it to the parent."""
    text = str(error)
    if (ended := _SIGNAL.search(text)) is not None:
        code, meaning = _LOSSES.get(int(ended[1]), (WORKER_LOST, "The process was ended by a signal."))
        return code, f"{meaning} It ended by {_name(int(ended[1]))}."
    if (ended := _EXIT.search(text)) is not None:
        return WORKER_LOST, f"The process ended itself, with exit status {ended[1]}."
    return WORKER_LOST, f"The process died: {text}"


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
