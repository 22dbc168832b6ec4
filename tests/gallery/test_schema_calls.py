"""Schemathesis calls every operation of a real server as the schema says, and as it says not to.

All checks, all phases; `schema_exceptions.py` says what is overlooked, and why. Alone: `make schemathesis`.
"""

from collections import Counter
from pathlib import Path

import pytest
from schema_exceptions import EXCEPTIONS
from schema_world import COLLECTIONS, Result, SchemaWorld

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

# of fuzzing, for each operation
EXAMPLES = 10
# fewer would be a run that has lost its way; it makes about 11,000 requests, and 150 steps that follow another one
CASES_AT_LEAST, STRANGERS_AT_LEAST, FOLLOWED_AT_LEAST, OPERATIONS_FOLLOWED_AT_LEAST = 9000, 800, 50, 15


def test_the_api_is_what_its_schema_says(
    process_environment: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = SchemaWorld().run(
        environment=process_environment, folder=tmp_path, examples=EXAMPLES, sequences=COLLECTIONS
    )
    with capsys.disabled():
        print(f"\n{_summary(results)}")  # noqa: T201 - the figures are what it is run for
    for result in results:
        assert (result.report["failures"], result.report["errors"]) == ([], []), result.printed
        assert result.code == 0, result.printed
    assert sum(result.cases for result in results) >= CASES_AT_LEAST
    assert sum(result.counted["strangers"] for result in results) >= STRANGERS_AT_LEAST
    followed = _followed(results)
    assert followed.total() >= FOLLOWED_AT_LEAST, followed
    assert len(followed) >= OPERATIONS_FOLLOWED_AT_LEAST, followed


def _followed(results: list[Result]) -> Counter[str]:
    return sum((Counter(result.counted["followed"]) for result in results), Counter())


def _summary(results: list[Result]) -> str:
    """Say how many cases there were, and which exceptions were none: those may go."""
    cases, asked = (
        sum(found) for found in zip(*((one.cases, one.counted["strangers"]) for one in results), strict=True)
    )
    failed = sum(result.report["test_cases"]["with_failures"] for result in results)
    followed = _followed(results)
    used = {reason for result in results for reason in result.counted["used"]}
    unused = [one.reason for one in EXCEPTIONS if one.reason not in used]
    return (
        f"Schemathesis: {cases} cases, {failed} with failures; a stranger asked {asked} times; {followed.total()} "
        f"steps of sequences were answered 2xx, of {len(followed)} operations; exceptions without a case: {unused}"
    )
