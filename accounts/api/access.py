"""Who may call an operation: each view says so in `access`, and `Declared` holds it to that.

`access` maps the names of a viewset's actions, or the methods of another view in lower case, to one of the rules below.
An operation that declares nothing answers nobody. A view has to fetch what an operation is about by `get_object`, or to
hand it to `check_object_permissions`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from accounts.access import require, require_somewhere
from accounts.models import Library, User
from accounts.roles import Permission


@dataclass(frozen=True, slots=True)
class Access:
    """A rule about who may call an operation: whoever is logged in, by a person's token or by a key."""

    def admits(self, user: User | AnonymousUser) -> bool:
        """Whether the user may call it at all; may raise NotPermittedError, which says why not."""
        return user.is_authenticated

    def check(self, user: User, subject: Model) -> None:
        """Raise NotPermittedError if the user sees the subject and may not do this to it."""


@dataclass(frozen=True, slots=True)
class Public(Access):
    """Anybody, without a word about who it is."""

    def admits(self, user: User | AnonymousUser) -> bool:  # noqa: ARG002 - the rules' signature
        """Everybody."""
        return True


@dataclass(frozen=True, slots=True)
class InPerson(Access):
    """Whoever is logged in, and no program that acts for them with a key."""

    def admits(self, user: User | AnonymousUser) -> bool:
        """People."""
        return user.is_authenticated and user.acting_key is None


@dataclass(frozen=True, slots=True)
class RunsInstallation(Access):
    """Superusers in person. Dead letters show files, hosts and paths of every library, to name one reason."""

    def admits(self, user: User | AnonymousUser) -> bool:
        """Refuses before anything is looked up."""
        return user.is_authenticated and user.runs_installation


@dataclass(frozen=True, slots=True)
class Seeing(Access):
    """What lies in libraries where the caller holds `permission`: all else is not in the list, and 404 by itself.

    No check holds it, but the view's QuerySet: it begins with `visible_to`.
    """

    permission: Permission


@dataclass(frozen=True, slots=True)
class Doing(Access):
    """Acting on something in a library. Who does not see it (`seeing`) gets 404, who sees it without `permission` 403.

    With `own`, people may also do it to what is theirs: what has their `user_id`.
    """

    permission: Permission
    seeing: Permission = Permission.VIEW_PHOTOS
    own: bool = False

    def check(self, user: User, subject: Model) -> None:
        """Raise NotPermittedError without the permission in the subject's library."""
        if self.own and user.acting_key is None and getattr(subject, "user_id", None) == user.pk:
            return
        require(user, self.permission, library_id=_library_id(subject))


@dataclass(frozen=True, slots=True)
class Somewhere(Access):
    """Whoever holds `permission` in a library, whichever it is; what is shown is of these libraries."""

    permission: Permission

    def admits(self, user: User | AnonymousUser) -> bool:
        """Raise NotPermittedError if there is no such library."""
        if not user.is_authenticated:
            return False
        require_somewhere(user, self.permission)
        return True


PUBLIC, LOGGED_IN, IN_PERSON, RUNS_INSTALLATION = Public(), Access(), InPerson(), RunsInstallation()

REFUSALS = {
    IN_PERSON: "No key opens this: log in.",
    RUNS_INSTALLATION: "This is for whoever runs the installation.",
}


class Declared(BasePermission):
    """Holds a view to what its `access` declares. Views wear it by default, and none wears another one."""

    message: str | None = None
    code: str | None = None

    def has_permission(self, request: Request, view: Any) -> bool:
        """Whether the caller may call the operation at all."""
        rule = declared_access(view, request.method)
        self.message = REFUSALS.get(rule)
        self.code = "person_required" if rule == IN_PERSON else None
        return rule.admits(request.user)

    def has_object_permission(self, request: Request, view: Any, obj: Model) -> bool:
        """Raise NotPermittedError if the caller may not do this to the object."""
        declared_access(view, request.method).check(request.user, obj)
        return True


def declared_access(view: Any, method: str) -> Access:
    """Give the rule of the operation that a view is at, or that it would be at with a method.

    What answers no operation (OPTIONS, a method that there is none for) is as open as the openest view of its kind:
    for everybody where all of the view is, else for who is logged in. Raises ImproperlyConfigured without a rule.
    """
    rules: Mapping[str, Access] = getattr(view, "access", {})
    # of a view that is none the schema's maker says None
    actions = getattr(view, "action_map", None)
    verb = "get" if method == "HEAD" else method.lower()
    name = (verb if hasattr(view, verb) else None) if actions is None else actions.get(verb)
    if name is None or verb == "options":
        return PUBLIC if rules and set(rules.values()) == {PUBLIC} else LOGGED_IN
    if name not in rules:
        raise ImproperlyConfigured(f"{type(view).__name__} does not declare who may call {name}.")
    return rules[name]


def _library_id(subject: Model) -> UUID:
    return subject.pk if isinstance(subject, Library) else subject.library_id
