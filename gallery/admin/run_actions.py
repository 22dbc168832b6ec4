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
from django.utils.translation import ngettext
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextareaWidget

from accounts.models import User
from gallery.admin.base import dialog
from processing.models import StageRun
from processing.models.ledger import Run
from processing.services import dead_letters

REASON_MAX_LENGTH = Run._meta.get_field("discard_reason").max_length


class DiscardForm(BaseDialogForm):
    """Why dead letters are given up: whoever looks at them later wants to know."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=REASON_MAX_LENGTH,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3, "autofocus": True}),
    )


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


def retry(runs: QuerySet[Run]) -> int:
    """Let the dead ones among these runs of one ledger start over; gives how many do."""
    if runs.model is StageRun:
        return dead_letters.retry(runs=runs)
    return dead_letters.retry_library_runs(run_ids=runs.values_list("pk", flat=True))


def restore(runs: QuerySet[Run]) -> int:
    """Let the discarded ones among these runs of one ledger start over; gives how many do."""
    if runs.model is StageRun:
        return dead_letters.restore(runs=runs)
    return dead_letters.restore_library_runs(run_ids=runs.values_list("pk", flat=True))


def discard(runs: QuerySet[Run], *, by: User, reason: str) -> int:
    """Give up the dead ones among these runs of one ledger; gives how many are."""
    if runs.model is StageRun:
        return dead_letters.discard(runs=runs, by=by, reason=reason)
    return dead_letters.discard_library_runs(run_ids=runs.values_list("pk", flat=True), by=by, reason=reason)


def download(runs: QuerySet[Run], *, name: str) -> StreamingHttpResponse:
    """Answer with the runs as an array of JSON, streamed: there may be as many as there are photos."""
    headers = {"Content-Disposition": f'attachment; filename="{name}.json"'}
    return StreamingHttpResponse(_array(dead_letters.as_json(runs)), content_type="application/json", headers=headers)


def _array(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    separator = "[\n"
    for row in rows:
        yield separator + json.dumps(row, cls=DjangoJSONEncoder, ensure_ascii=False, indent=1)
        separator = ",\n"
    yield "[]\n" if separator == "[\n" else "\n]\n"


def say_retried(request: HttpRequest, count: int) -> None:
    """Tell the user how many runs start over."""
    _say(request, count, "%d run starts over.", "%d runs start over.", _("None of them is dead."))


def say_restored(request: HttpRequest, count: int) -> None:
    """Tell the user how many discarded runs start over."""
    _say(request, count, "%d run starts over.", "%d runs start over.", _("None of them was discarded."))


def say_discarded(request: HttpRequest, count: int) -> None:
    """Tell the user how many runs are given up."""
    _say(request, count, "%d run is discarded.", "%d runs are discarded.", _("None of them is dead."))


def _say(request: HttpRequest, count: int, one: str, many: str, none: str) -> None:
    if count:
        messages.success(request, ngettext(one, many, count) % count)
    else:
        messages.warning(request, none)
