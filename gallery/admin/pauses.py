"""What the admin says of a stage that is paused, and of pending runs that nobody can claim."""

from dataclasses import dataclass

from django.utils import timezone
from django.utils.formats import localize
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from gallery.admin.durations import duration
from processing.models import StagePause
from processing.overview import MODEL_NOT_INSTALLED, NO_WORKER


@dataclass(frozen=True, slots=True)
class Condition:
    """A word for how something is, in its colour, and the reason."""

    tone: str
    label: str
    detail: str = ""


def condition_of_pause(pause: StagePause) -> Condition:
    """Say who paused a stage, since when and why; of the circuit also when it tries again."""
    since = localize(localtime(pause.paused_at))
    if pause.is_circuit:
        return Condition(tone="danger", label=_("paused by itself"), detail=_circuit(pause, since))
    who = pause.paused_by or _("somebody")
    detail = _("by %(who)s since %(since)s") % {"who": who, "since": since}
    return Condition(tone="warning", label=_("paused"), detail=f"{detail}: {pause.reason}" if pause.reason else detail)


def _circuit(pause: StagePause, since: str) -> str:
    wait = (pause.probe_at - timezone.now()).total_seconds() if pause.probe_at else 0.0
    said = _("%(code)s since %(since)s, tries again %(when)s (%(probes)s)")
    return said % {
        "code": pause.error_code,
        "since": since,
        "when": _("in %s") % duration(wait) if wait > 0 else _("now"),
        "probes": ngettext("%d try so far", "%d tries so far", pause.probes) % pause.probes,
    }


def condition_of_work(obstacle: str, queue: str) -> Condition:
    """Say why pending runs are not claimed."""
    reasons = {
        NO_WORKER: _("no live worker of the queue “%s” takes them"),
        MODEL_NOT_INSTALLED: _("no live worker of the queue “%s” has the model"),
    }
    return Condition(tone="warning", label=obstacle, detail=reasons[obstacle] % queue)
