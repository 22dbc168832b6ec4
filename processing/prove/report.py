"""What a proof says, on a terminal of 80 columns and as JSON."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import TextIO

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from accounts.wording import counted
from processing.prove.findings import Finding
from processing.prove.proof import Proof
from processing.prove.repair import Repaired, RepairPlan
from processing.prove.sorts import SORTS, Kind

ABOUT = {
    "lost": "acknowledged, and missing",
    "doubled": "more than one effect",
    "wrong": "bytes, rows or vectors that are not what they should be",
    "stuck": "open, and nothing explains it",
    "leaked": "stored, and no row names it",
}


def print_proof(console: Console, proof: Proof, *, limit: int) -> None:
    """Print the five counts, what is open and why, and the offences by sort, `limit` of each."""
    console.print(_heading(proof), highlight=False)
    table = Table(box=box.SIMPLE, show_header=False, padding=(0, 1, 0, 0))
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column()
    for kind, count in proof.findings.counts().items():
        table.add_row(kind, Text(f"{count:,}", style="bold red" if count else "green"), ABOUT[kind])
    console.print(table)
    for line in _notes(proof):
        console.print(escape(line))
    for code, count in proof.findings.by_code():
        _print_sort(console, proof, code, count, limit=limit)


def print_plan(console: Console, plan: RepairPlan, *, grace: timedelta) -> None:
    """Print what a repair is going to do."""
    console.print("\n[bold]Repair[/bold]")
    for line in plan.lines(grace) or ["nothing to repair"]:
        console.print(Padding(Text(line), (0, 0, 0, 2), expand=False))


def print_repaired(console: Console, done: Repaired) -> None:
    """Print what a repair did."""
    console.print("\n[bold]Done[/bold]")
    for line in done.lines():
        console.print(Padding(Text(line), (0, 0, 0, 2), expand=False))
    console.print("Prove again when the workers have finished: manage.py prove --settle 600")


def write_json(
    output: TextIO, proof: Proof, *, limit: int | None, plan: RepairPlan | None, done: Repaired | None, grace: timedelta
) -> None:
    """Write one JSON object; findings one by one, since there may be many."""
    tally = proof.tally
    head = {
        "counts": proof.findings.counts(),
        "is_sound": proof.is_sound,
        "is_settled": proof.is_settled,
        "bytes_read": tally.bytes_read if proof.scope.with_bytes else None,
        "photos": tally.photos,
        "runs": tally.runs,
        "objects": tally.objects,
        "acknowledged": tally.acknowledged,
        "dead": tally.dead,
        "outdated": tally.outdated,
        "explained": dict(sorted(tally.explained.items())),
        "empty_stores": proof.empty_stores,
        "seconds": round(proof.seconds, 3),
        "repair": None if plan is None else {"plan": plan.lines(grace), "done": done and done.lines()},
    }
    text = json.dumps(head, indent=2)
    output.write(text.removesuffix("\n}") + ',\n  "findings": [')
    for number, finding in enumerate(_limited(proof, limit)):
        output.write("," * (number > 0) + "\n    " + json.dumps(finding.as_json()))
    output.write("\n  ]\n}\n")


def _limited(proof: Proof, limit: int | None) -> Iterator[Finding]:
    for code, _ in proof.findings.by_code():
        yield from proof.findings.all(code=code) if limit is None else proof.findings.first(code, limit)


def _heading(proof: Proof) -> str:
    tally = proof.tally
    read = f"{tally.bytes_read / 1e6:,.1f} MB read" if proof.scope.with_bytes else "no bytes read (--no-bytes)"
    counts = ((tally.photos, "photo"), (tally.runs, "run"), (tally.objects, "stored object"))
    seen = ", ".join(counted(count, noun) for count, noun in counts)
    acknowledged = f", {tally.acknowledged:,} acknowledged" if proof.scope.acknowledged else ""
    return f"{seen}{acknowledged}; {read}; {proof.seconds:,.1f} s"


def _notes(proof: Proof) -> Iterator[str]:
    tally = proof.tally
    if proof.is_settled is False:
        yield f"Not settled after {proof.scope.settle_seconds:g} s: something is still moving."
    if not proof.scope.with_bytes:
        yield "Presence and sizes are from the stores' listings; what lies in the objects was not read."
    for alias in proof.empty_stores:
        yield f"The store {alias!r} is empty, and rows name objects in it. Is it mounted?"
    if tally.explained:
        yield f"{counted(tally.explained.total(), 'open run')}, and why:"
        yield from (f"  {count:,} {why}" for why, count in tally.explained.most_common())
    if tally.dead:
        yield f"For a person: {counted(tally.dead, 'dead letter')}."
    if tally.outdated:
        yield f"Of an older version: {counted(tally.outdated, 'result')}; manage.py reprocess makes them anew."


def _print_sort(console: Console, proof: Proof, code: str, count: int, *, limit: int) -> None:
    sort = SORTS[code]
    console.print(f"\n[bold]{sort.kind}[/bold] {code} ({count:,})")
    console.print(Padding(Text(f"{sort.about} {sort.advice}"), (0, 0, 0, 2), expand=False))
    for finding in proof.findings.first(code, limit):
        for line in _ids(finding):
            # in one piece, so that it can be copied
            console.print(Text(f"  {line}"), soft_wrap=True)
        console.print(Text(f"    {finding.detail}"), soft_wrap=True)
    if count > limit:
        console.print(f"  ... and {count - limit:,} more (--limit-ids, or --json for all)")


def _ids(finding: Finding) -> Iterator[str]:
    """Give the ids, a line each: two of them do not fit side by side."""
    named = {"photo": finding.photo, "run": finding.run}
    if not finding.photo:
        named |= {"library": finding.library, "user": finding.user}
    if finding.sort.kind is Kind.LEAKED:
        named["object"] = finding.item
    yield from (f"{name} {value}" for name, value in named.items() if value)
