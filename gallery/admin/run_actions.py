"""What a person may do about dead letters: let them start over, give them up with a reason, take them along as JSON."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from django import forms
from django.contrib import messages
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.utils.translation import gettext_lazy as _
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextareaWidget

from accounts.admin_audit import leave_alone
from accounts.admin_dialogs import dialog
from gallery.admin.base import say
from gallery.api.serializers.dead_letters import DeadLetterDetailSerializer
from processing.dead_letters import shown
from processing.models import RunState, StageRun
from processing.models.ledger import DISCARDED, Run
from processing.services import dead_letters

RUNS_AT_ONCE = 500
# more are not counted one by one
COUNTED = 10_000
REASON_MAX_LENGTH = Run._meta.get_field("discard_reason").max_length

ONE_IS_OPEN = "%d run stays as it is: the library has an open run of the same work."
MANY_ARE_OPEN = "%d runs stay as they are: their libraries have open runs of the same work."
ONE_IS_OWED = "%d run stays dead: what is owed to be erased is not given up. Mend the cause, and retry it."
MANY_ARE_OWED = "%d runs stay dead: what is owed to be erased is not given up. Mend the cause, and retry."


class DiscardForm(BaseDialogForm):
    """Why dead letters are given up: whoever looks at them later wants to know."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=REASON_MAX_LENGTH,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3, "autofocus": True}),
    )


# very many at once, told of by their service
_OF_MANY = [
    f"processing_{model}_changelist {action}"
    for model in ("stagerun", "libraryrun")
    for action in ("retry", "restore", "discard")
]
leave_alone("dead_letters_retry", "dead_letters_discard", *_OF_MANY)

RETRY = dialog(title=_("Retry this run?"), description=_("It starts over, with all its attempts."), submit=_("Retry"))
DISCARD = dialog(
    title=_("Discard this run?"),
    description=_(
        "It is given up and counts as skipped, and so does what waits for its result. Its error is kept, and it can "
        "still be retried."
    ),
    submit=_("Discard"),
    form_class=DiscardForm,
)
DISCARD_GROUP = dialog(
    title=_("Discard these runs?"),
    description=_(
        "They are given up and count as skipped, and so does what waits for their results. Their errors are kept, and "
        "they can still be retried."
    ),
    submit=_("Discard"),
    form_class=DiscardForm,
)


def retry(request: HttpRequest, runs: QuerySet[Run]) -> None:
    """Let the dead ones among these runs of one ledger start over, and tell the user how many do."""
    if runs.model is StageRun:
        count = dead_letters.retry(runs=runs, by=request.user)
    else:
        count = dead_letters.retry_library_runs(run_ids=runs.values_list("pk", flat=True), by=request.user)
    left = _left(runs, state=RunState.DEAD)
    none = "" if left else _("None of them is dead.")
    say(request, count, "%d run starts over.", "%d runs start over.", none=none)
    say(request, left, ONE_IS_OPEN, MANY_ARE_OPEN, level=messages.WARNING)


def restore(request: HttpRequest, runs: QuerySet[Run]) -> None:
    """Let the discarded ones among these runs of one ledger start over, and tell the user how many do."""
    if runs.model is StageRun:
        count = dead_letters.restore(runs=runs, by=request.user)
    else:
        count = dead_letters.restore_library_runs(run_ids=runs.values_list("pk", flat=True), by=request.user)
    left = _left(runs, skip_reason=DISCARDED)
    none = "" if left else _("None of them was discarded.")
    say(request, count, "%d run starts over.", "%d runs start over.", none=none)
    say(request, left, ONE_IS_OPEN, MANY_ARE_OPEN, level=messages.WARNING)


def discard(request: HttpRequest, runs: QuerySet[Run], *, reason: str) -> None:
    """Give up the dead ones among these runs of one ledger, and tell the user how many are."""
    if runs.model is StageRun:
        count = dead_letters.discard(runs=runs, by=request.user, reason=reason)
    else:
        run_ids = runs.values_list("pk", flat=True)
        count = dead_letters.discard_library_runs(run_ids=run_ids, by=request.user, reason=reason)
    left = _left(runs, state=RunState.DEAD)
    none = "" if left else _("None of them is dead.")
    say(request, count, "%d run is discarded.", "%d runs are discarded.", none=none)
    say(request, left, ONE_IS_OWED, MANY_ARE_OWED, level=messages.WARNING)


def _left(runs: QuerySet[Run], **condition: object) -> int:
    """Count those that an action had to leave as they were: only work on libraries may have to stay."""
    return 0 if runs.model is StageRun else runs.filter(**condition).count()


def count(runs: QuerySet[Run]) -> tuple[int, str]:
    """Count runs as far as a person would; gives the number for the grammar, and what to show of it."""
    counted = runs[: COUNTED + 1].count()
    return counted, f"{COUNTED:,}+" if counted > COUNTED else f"{counted:,}"


def download(runs: QuerySet[Run], *, name: str) -> StreamingHttpResponse:
    """Answer with the runs as an array of JSON, as the API gives each; streamed, for there may be very many.

    One query reads all of every run: a list leaves out what it does not show, and that would be read run by run, while
    rows may go.
    """
    headers = {"Content-Disposition": f'attachment; filename="{name}.json"'}
    whole = shown(runs.defer(None).prefetch_related(None)).iterator(chunk_size=RUNS_AT_ONCE)
    rows = map(DeadLetterDetailSerializer().to_representation, whole)
    return StreamingHttpResponse(_array(rows), content_type="application/json", headers=headers)


def _array(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    separator = "[\n"
    for row in rows:
        yield separator + json.dumps(row, cls=DjangoJSONEncoder, ensure_ascii=False, indent=1)
        separator = ",\n"
    yield "[]\n" if separator == "[\n" else "\n]\n"
