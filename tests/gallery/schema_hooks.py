"""What schemathesis loads: who asks, what it overlooks, and the stranger who asks before the owner does.

It runs in schemathesis' own process, which imports nothing of Darkroom's; what it needs is in SCHEMA_CALLS.
"""

import json
import os
import re
import uuid
from base64 import b64encode
from collections import Counter
from itertools import count
from pathlib import Path
from typing import Any

import requests
import schemathesis
from schema_exceptions import EXCEPTIONS, UNREACHED, Found, excepted, told

GIVEN: dict[str, Any] = json.loads(os.environ["SCHEMA_CALLS"])
MEMBER, STRANGER, OPERATOR, LEAVER, NOBODY = "member", "stranger", "operator", "leaver", "nobody"
# what only whoever runs the installation may call
OF_OPERATOR = re.compile(r"\w+ /api/v1/(admin/.*|audit|imports.*)")
# what ends or changes an account: of somebody who is there for that
UNLINKING = "DELETE /api/v1/auth/social/accounts/{id}"
OF_LEAVER = re.compile(rf"{re.escape(UNLINKING)}|DELETE /api/v1/auth/me|POST /api/v1/auth/(password/change|second-.*)")
# what names something by a key, but for accounts elsewhere: their keys are numbers, which are not looked for
OF_KEYS = re.compile(r"(?<!accounts/)\{\w*id\}")
# what people do to be somebody
OF_NOBODY = re.compile(r"POST /api/v1/auth/(token.*|password/reset.*|invitations/accept|social/token)")
# what ends a library's faces, or the library
OF_DISPOSABLE = re.compile(r"POST /api/v1/libraries/\{id\}/(forget|face-analysis)")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
# keys begin with the time, and those of this run alike: others were made up, and are echoed
MADE_NOW = GIVEN["things"]["libraries"][0][:4]
# of requests that name the same things in the same places: how often the stranger asks too, and how often while the
# member has never had an answer
PROBES_OF_A_KIND, PROBES_IN_VAIN = 3, 500


def identity(label: str) -> str:
    """Name who calls an operation."""
    rules = {OPERATOR: OF_OPERATOR, LEAVER: OF_LEAVER, NOBODY: OF_NOBODY}
    return next((who for who, rule in rules.items() if rule.fullmatch(label)), MEMBER)


class Leavers:
    """Those whose account may end; after each end the next one."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.at = 0

    def token(self) -> str:
        return self.tokens[self.at]

    def is_gone(self) -> None:
        self.at += 1


LEAVERS = Leavers(GIVEN["tokens"][LEAVER])


@schemathesis.auth(refresh_interval=None)
class Identity:
    """Sends the token of whoever calls the operation."""

    def get(self, case: Any, context: Any) -> str | None:
        who = identity(context.operation.label)
        if who == NOBODY:
            return None
        return LEAVERS.token() if who == LEAVER else GIVEN["tokens"][who]

    def set(self, case: Any, data: str, context: Any) -> None:
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {data}"}


# the bytes of an upload
schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")


# ---- what is no fault

_used: set[Any] = set()
_overlooked: Counter[str] = Counter()


@schemathesis.hook
def filter_failure(context: Any, failure: Any, case: Any, response: Any) -> bool:
    """Drop what is listed with its reason."""
    try:
        answer = response.json()
    except ValueError:
        answer = None
    seen = Found(type(failure).__name__, failure.message, case.operation.label, frozenset(case.query or ()))
    found = excepted(seen, told(response.status_code, answer))
    _used.update(found)
    _overlooked.update(one.reason for one in found)
    return not found


# ---- what is well formed shall also be about something

# so many of a number of requests are changed so that they may succeed; the others stay as they were drawn
CHANGED, OF = 4, 5
# and before that one in so many becomes one that is known to succeed, where there is one
READY_OF = 3
# what is not called after the collection in the address, or takes one that is as the operation wants it
NARROWER = {
    "/restore": "trashed",
    "/renditions/{kind}": "rendered",
    "/chip": "chips",
    "faces/{id}/similar": "chips",
    "photos/{id}/similar": "analysed",
    "duplicates/decisions": "duplicates",
    "/regrouping": "libraries",
}
# whose keys these parameters and members are, where they are not called after it
CALLED = {"id": None, "person": "people", "photo": "photos", "cover": None, "before": "photos", "user_id": "users"}


_turns: Counter[str] = Counter()


def _one_of(kind: str) -> str:
    """Give the key of one of the things that there are, each time another one."""
    _turns[kind] += 1
    return GIVEN["things"][kind][_turns[kind] % len(GIVEN["things"][kind])]


def _make_it_count(case: Any) -> None:
    """Give a request keys that there are, a new Idempotency-Key, an ETag that holds, and the first page."""
    if _is_made_ready(case) or next(_numbers) % OF >= CHANGED:
        return
    for name, value in (case.headers or {}).items():
        if name.lower() == "idempotency-key" and re.fullmatch(r'"[ !#-[\]-~]{1,255}"|[!#-~]{1,255}', str(value)):
            case.headers[name] = f"key-{next(_numbers)}"
        if name.lower() == "if-match":
            case.headers[name] = "*"
    if case.query and _is_positive(case):
        case.query.pop("cursor", None)
    kind = case.operation.path.split("/")[3]
    narrower = next((one for end, one in NARROWER.items() if end in case.operation.path), None)
    for name, value in (case.path_parameters or {}).items():
        if name == "id" and narrower and UUID.fullmatch(str(value)):
            case.path_parameters[name] = _one_of(narrower)
        else:
            case.path_parameters[name] = _known(value, kind if name == "id" else CALLED.get(name, "libraries"))
    if isinstance(case.body, dict):
        _make_its_body_count(case, kind)


def _is_made_ready(case: Any) -> bool:
    """Whether it has become a request that is known to succeed: the first of its operation, and one in some more."""
    label = case.operation.label
    ready = GIVEN["ready"].get(label)
    if label == UNLINKING and _is_positive(case):
        case.path_parameters["id"] = GIVEN["accounts"][LEAVERS.at]
        return True
    if not ready or not _is_positive(case) or isinstance(case.body, dict) != isinstance(ready[0]["body"], dict):
        return False
    turn, _turns[label] = _turns[label], _turns[label] + 1
    if turn % READY_OF:
        return False
    one = ready[turn // READY_OF % len(ready)]
    case.path_parameters = {**(case.path_parameters or {}), **one["path"]}
    if one["body"] is not None:
        case.body = one["body"]
    for name in [name for name in case.headers or {} if name.lower() in {"idempotency-key", "if-match"}]:
        del case.headers[name]
    return True


def _is_positive(case: Any) -> bool:
    return case.meta is not None and case.meta.generation.mode.is_positive


def _make_its_body_count(case: Any, kind: str) -> None:
    kinds = {**CALLED, "cover": "faces" if kind == "people" else "photos", "library": "libraries"}
    for name, value in case.body.items():
        called = kinds.get(name, name)
        if called in GIVEN["things"]:
            items = value if isinstance(value, list) else [value]
            found = [_known(one, called) for one in items]
            case.body[name] = found if isinstance(value, list) else found[0]


def _known(value: Any, kind: str | None) -> Any:
    """Give a key that there is in the place of one that was made up."""
    is_made_up = isinstance(value, str) and UUID.fullmatch(value) and value not in _ours
    return _one_of(kind) if is_made_up and kind in GIVEN["things"] else value


# ---- who sees nothing learns nothing

_ours: set[str] = set(GIVEN["ids"]).union(*GIVEN["things"].values())
_asked: Counter[Any] = Counter()
_learnt: dict[str, str] = {}
_compared: set[str] = set()
_is_asking: dict[str, bool] = {}
_numbers = count(1)


def _other_ids(ids: set[str]) -> dict[str, str]:
    """Give for each id one that nobody has, and the same in base64, as the headers of an upload name it."""
    found = {one: str(uuid.UUID(int=(7 << 76) | (2 << 62) | next(_numbers))) for one in ids}
    return found | {_base64(one): _base64(other) for one, other in found.items()}


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode()


def _replaced(text: str, ids: dict[str, str]) -> str:
    for one, other in ids.items():
        text = text.replace(one, other)
    return text


def _ids_of(request: requests.PreparedRequest) -> tuple[set[str], str]:
    """Give the ids of ours that a request names, and in which places."""
    body = request.body if isinstance(request.body, bytes) else (request.body or "").encode()
    metadata = request.headers.get("Upload-Metadata", "")
    path, _, query = request.url.partition("?")
    places = {"path": path, "query": query, "body": body.decode("utf-8", "replace")}
    found = {name: {one for one in UUID.findall(text) if one in _ours} for name, text in places.items()}
    found["header"] = {one for one in _ours if _base64(one) in metadata}
    return set().union(*found.values()), ",".join(name for name, ids in found.items() if ids)


def _send(request: requests.PreparedRequest, ids: dict[str, str]) -> requests.Response:
    """Send a request as the stranger, with other ids."""
    sent = request.copy()
    sent.url = _replaced(sent.url, ids)
    if sent.body is not None:
        body = sent.body if isinstance(sent.body, bytes) else sent.body.encode()
        for one, other in ids.items():
            body = body.replace(one.encode(), other.encode())
        sent.body = body
    sent.headers = {name: _replaced(_text(value), ids) for name, value in sent.headers.items()}
    sent.headers["Authorization"] = f"Bearer {GIVEN['tokens'][STRANGER]}"
    # what is kept under the key of another request is none of this
    for name in [name for name in sent.headers if name.lower() in {"idempotency-key", "cookie"}]:
        del sent.headers[name]
    with requests.Session() as session:
        return session.send(sent, timeout=20, allow_redirects=False)


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


def _said(answer: requests.Response, ids: dict[str, str]) -> tuple[int, str]:
    """Give what may be compared of an answer: of a refusal all, else all but ids and times that are new each time."""
    text = _replaced(answer.text, ids)
    if answer.status_code < 400:
        text = re.sub(rf"{UUID.pattern}|\d{{4}}-\d\d-\d\dT[\d:.]+Z", "", text) if answer.status_code < 300 else ""
    return answer.status_code, text


def _learns(request: requests.PreparedRequest, ids: set[str], places: str) -> str:
    """Ask as the stranger with ids of ours, and with ids of nobody; gives what there is to be learnt, or nothing."""
    others = _other_ids(ids)
    here, nowhere = _send(request, {}), _send(request, others)
    if "path" in places and here.status_code < 400 and request.method != "OPTIONS":
        return f"the stranger got {here.status_code}: {here.text[:500]}"
    leaked = {one for one in UUID.findall(here.text) if one in _ours and one not in ids}
    leaked |= {one for one in GIVEN["names"] if one in here.text}
    if leaked:
        return f"the stranger read of {sorted(leaked)[:3]}: {here.text[:500]}"
    if _said(here, others) != _said(nowhere, {}):
        return f"what is ours is answered {_said(here, others)}, what is not there {_said(nowhere, {})}"
    return ""


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Have the stranger ask for what the member is about to ask for."""
    label = case.operation.label
    _make_it_count(case)
    if OF_DISPOSABLE.fullmatch(label):
        case.path_parameters["id"] = _one_of("disposable")
    if identity(label) != MEMBER:
        return
    transport = case.as_transport_kwargs(base_url=kwargs.get("base_url") or GIVEN["url"])
    known = ("method", "url", "headers", "files", "data", "json", "params", "auth", "cookies")
    try:
        request = requests.Request(**{name: transport[name] for name in known if name in transport}).prepare()
    except (requests.RequestException, UnicodeError):
        # nobody can send this
        return
    ids, places = _ids_of(request)
    kind = (label, request.method, places)
    if not ids or _asked[kind] >= (PROBES_OF_A_KIND if label in _compared else PROBES_IN_VAIN):
        return
    _asked[kind] += 1
    if said := _learns(request, ids, places):
        _learnt[case.id] = f"{request.method} {request.url}: {said}"
    _is_asking[case.id] = "path" in places


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    """Remember what the member has come to know, and who is gone."""
    if not 200 <= response.status_code < 300:
        return
    who = identity(case.operation.label)
    if who == LEAVER and case.method != "GET":
        LEAVERS.is_gone()
    elif who == MEMBER and "json" in "".join(response.headers.get("content-type", [])):
        found = UUID.findall(response.content.decode("utf-8", "replace"))
        _ours.update(one for one in found if one.startswith(MADE_NOW))


@schemathesis.check
class StrangersLearnNothing:
    """What is named by ids of one library is answered to a member of another as if it were not there."""

    def __init__(self) -> None:
        self.reached: set[str] = set()

    def after_response(self, ctx: Any, response: Any, case: Any) -> None:
        label = case.operation.label
        if said := _learnt.pop(case.id, ""):
            raise AssertionError(said)
        is_it = case.method == case.operation.method.upper() and 200 <= response.status_code < 300
        if is_it and identity(label) == MEMBER and OF_KEYS.search(label):
            self.reached.add(label)
            if _is_asking.get(case.id):
                _compared.add(label)

    def after_run(self, ctx: Any) -> None:
        missing = sorted(self.reached - _compared)
        if missing and GIVEN["is_whole"]:
            raise AssertionError(f"no stranger has asked for what a member got: {missing}")


@schemathesis.check
class EveryOperationIsReached:
    """Each operation has answered 2xx, or it is listed why it cannot; and each exception was one."""

    def __init__(self) -> None:
        self.answers: dict[str, Counter[int]] = {}
        self.followed: Counter[str] = Counter()

    def after_response(self, ctx: Any, response: Any, case: Any) -> None:
        if case.method == case.operation.method.upper():
            self.answers.setdefault(case.operation.label, Counter())[response.status_code] += 1
            # a step of a sequence that goes on from the answer to another one
            if 200 <= response.status_code < 300 and ctx.phase is not None and ctx.phase.name == "STATEFUL_TESTING":
                self.followed[case.operation.label] += ctx.internals.find_parent(case_id=case.id) is not None

    def after_run(self, ctx: Any) -> None:
        reached = {label for label, answers in self.answers.items() if any(200 <= one < 300 for one in answers)}
        Path(GIVEN["report"]).write_text(
            json.dumps(
                {
                    "answers": self.answers,
                    "strangers": sum(_asked.values()),
                    "followed": {label: number for label, number in self.followed.items() if number},
                    "overlooked": _overlooked,
                    "used": [one.reason for one in EXCEPTIONS if one in _used],
                }
            )
        )
        # whoever was logged out on the way has asked for nothing since
        for who in (MEMBER, STRANGER, OPERATOR):
            headers = {"Authorization": f"Bearer {GIVEN['tokens'][who]}"}
            if requests.get(f"{GIVEN['url']}/api/v1/auth/me", headers=headers, timeout=20).status_code != 200:
                raise AssertionError(f"the {who} was logged out")
        unreached = sorted(self.answers.keys() - reached - UNREACHED.keys())
        wrong = sorted(UNREACHED.keys() & reached)
        if GIVEN["is_whole"] and (unreached or wrong):
            raise AssertionError(f"never 2xx: {unreached}; 2xx, though it is said that they cannot: {wrong}")
