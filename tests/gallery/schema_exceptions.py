"""What schemathesis finds and is no fault, each with its reason; the run prints which of them did not happen."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

REJECTED, ACCEPTED, MISSING_HEADER = "RejectedPositiveData", "AcceptedNegativeData", "MissingHeaderNotRejected"
STATUS, SCHEMA, FREED = "UndefinedStatusCode", "JsonSchemaError", "UseAfterFree"


@dataclass(frozen=True, slots=True)
class Excepted:
    """An answer that a check may mind, and why it is as it should be. What is in the plural is an expression.

    `codes` are those of the problem, or those of its `errors` where it has some; `fields` theirs.
    """

    failures: tuple[str, ...]
    codes: str
    reason: str
    fields: str = ""
    operations: str = ".*"
    messages: str = ".*"
    parameter: str | None = None

    def covers(self, found: "Found", code: str, field: str) -> bool:
        """Whether it is this one."""
        wanted = (self.operations, found.operation), (self.codes, code), (self.fields, field)
        return (
            found.failure in self.failures
            and (self.parameter is None or self.parameter in found.parameters)
            and re.match(self.messages, found.message, re.DOTALL) is not None
            and all(re.fullmatch(expression, text, re.DOTALL) for expression, text in wanted)
        )


@dataclass(frozen=True, slots=True)
class Found:
    """A failure of a check, the operation, and the query's parameters."""

    failure: str
    message: str
    operation: str
    parameters: frozenset[str]


# what is told of a refusal: code and field
Told = tuple[str, str]

STATE = "it depends on what is there, as a 404 does, and not on the form of the request"
UNSAID = "a schema cannot say it"
UPLOADS = r"(POST|PATCH|DELETE) /api/v1/uploads.*"
EXCEPTIONS = (
    Excepted(
        (SCHEMA,),
        "",
        "an answer has the fields that are asked for, and lacks others",
        messages="['\"].* is a required property|.* is not valid under any of the schemas",
        parameter="fields",
    ),
    Excepted(
        (STATUS, REJECTED, ACCEPTED),
        "uri_too_long",
        "the web server, and not Darkroom, refuses addresses of more than 8190 bytes",
    ),
    Excepted(
        (ACCEPTED,),
        "",
        "a text that is written as a number, or a number as a text, is understood",
        messages=".*Incorrect type",
    ),
    Excepted(
        (ACCEPTED,),
        "",
        "headers that nobody knows are ignored (RFC 9110, section 5.1)",
        messages=".*(unexpected properties|optional properties|positive test case)",
    ),
    Excepted((FREED,), "", "what was revoked stays, and says so", operations=r"GET /api/v1/(shares|keys)/\{id\}"),
    Excepted((REJECTED, ACCEPTED), "precondition_failed", f"another ETag: {STATE}"),
    Excepted((REJECTED,), "idempotency_key_reused", f"the key came with another request: {STATE}"),
    Excepted((REJECTED, ACCEPTED, MISSING_HEADER), "tus_version", "the tus protocol wants 412", operations=UPLOADS),
    Excepted((REJECTED,), "combination", f"two values do not go together: {UNSAID}", fields=".*"),
    Excepted((REJECTED,), "invalid", f"a cursor is what a page has given: {UNSAID}", fields="cursor"),
    Excepted((REJECTED,), "does_not_exist", "roles are rows", fields="role"),
    Excepted((REJECTED,), "invalid_choice", "stages are listed by GET admin/stages", fields="stage"),
    Excepted((REJECTED,), "null_characters_not_allowed", f"no text has a NUL: {UNSAID} of each", fields=".*"),
    Excepted((REJECTED,), "invalid", "a text without a word finds nothing", fields="q"),
    Excepted((REJECTED,), "invalid", "no clock on Earth is 14 hours away", fields=".*(_at|after|before)"),
    Excepted((REJECTED,), ".*", "a filter in a body is told of where it is a query", fields=r"filter(\..*)?"),
    Excepted((REJECTED,), "(reset|invitation|enrolment)_not_valid", "a token is what a mail or an answer has given"),
    Excepted((REJECTED,), "invalid", "it is not the password", fields="(old_)?password"),
    Excepted((REJECTED,), "wrong_checksum", "the digest is another one than of the body", operations=UPLOADS),
    Excepted((REJECTED,), "invalid", "models are listed nowhere", fields="model"),
    Excepted((REJECTED,), "invalid.*", "kinds of renditions are listed nowhere", fields="content"),
    Excepted((REJECTED,), "invalid", "more than 0: versions of schemas say that in two ways", fields="threshold"),
    Excepted(
        (REJECTED,),
        "unknown_algorithm|invalid",
        f"a digest in base64: {UNSAID}",
        fields="Upload-Checksum",
        operations=UPLOADS,
    ),
    Excepted((REJECTED,), "too_large", "how large a file may be is the installation's", operations=UPLOADS),
    Excepted((REJECTED,), "invalid", "the library's name is typed once more", fields="name", operations=".*/forget"),
    Excepted((REJECTED,), "beyond_length", "the body has another length than a header says", operations=UPLOADS),
    Excepted((REJECTED,), "unsupported_format|empty_file", "what is drawn is no photo"),
    Excepted((REJECTED,), "blank", f"a text of spaces alone is none: {UNSAID} of each", fields=".*"),
    Excepted((REJECTED,), "invalid", "roles are rows", fields="role"),
    Excepted((REJECTED,), "no_account", "whoever becomes a member has an account", fields="email"),
    Excepted((REJECTED,), "source_not_allowed", "sources are the installation's", fields="source|path"),
    Excepted((REJECTED,), "invalid", f"a path is one that lies there: {UNSAID}", fields="path"),
    Excepted((REJECTED,), "invalid", f"base64 of UTF-8: {UNSAID}", fields="Upload-Metadata", operations=UPLOADS),
)

# operations that never answer 2xx here
NO_CODE = "it takes a code that an authenticator shows"
NO_BUCKET = "the originals lie on a disk here"
UNREACHED = {
    "GET /api/v1/exports/files/{token}": "a worker would have to make the file before",
    "GET /api/v1/exports/{id}/files/{number}": "a worker would have to make the file before",
    "GET /api/v1/events": "the stream never ends: the web server leads to another process, which is not called",
    "POST /api/v1/auth/password/reset/confirm": "it takes what a mail has told",
    "POST /api/v1/auth/second-factor/confirm": NO_CODE,
    "POST /api/v1/auth/second-factor/disable": NO_CODE,
    "POST /api/v1/auth/second-factor/recovery-codes": NO_CODE,
    "POST /api/v1/auth/social/token": "somebody has to come back from a provider",
    "POST /api/v1/uploads/direct": NO_BUCKET,
    "POST /api/v1/uploads/{id}/complete": NO_BUCKET,
    "POST /api/v1/libraries/{id}/regrouping/apply": "a worker would have to compute it before",
    "POST /api/v1/search/face": "no worker is here that would look for the face",
}


def told(status: int, answer: Any) -> Iterator[Told]:
    """Give the codes and fields of a refusal."""
    problem = answer if isinstance(answer, dict) else {}
    errors = problem.get("errors") if status >= 400 else None
    if errors:
        yield from ((one["code"], one["field"]) for one in errors)
    elif status == 414:
        yield "uri_too_long", ""
    else:
        yield problem.get("code", "") if status >= 400 else "", ""


def excepted(found: Found, refusals: Iterable[Told]) -> set[Excepted]:
    """Give the exceptions that cover a failure: one for each refusal; none where a refusal has none."""
    all_of_them: set[Excepted] = set()
    for code, field in refusals:
        covering = {one for one in EXCEPTIONS if one.covers(found, code, field)}
        if not covering:
            return set()
        all_of_them |= covering
    return all_of_them
