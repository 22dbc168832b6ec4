"""API keys: making, revoking and recognising them. What a key opens is the libraries' to say (`permitting`)."""

import logging
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import DatabaseError, transaction
from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.views.decorators.debug import sensitive_variables

from accounts.digests import digest
from accounts.models import ApiKey, AuditAction, Library, User
from accounts.problems import ConflictError, InvalidValueError, NotFoundError, NotPermittedError
from accounts.services import audit

# dk_<what finds it, 48 bits>_<what proves it, 256 bits>, in hex. By its form it is found where it was lost
FORM = re.compile(r"dk_(?P<prefix>[0-9a-f]{12})_[0-9a-f]{64}")
PREFIX_BYTES = 6
SECRET_BYTES = 32
USE_NOTED_EVERY = timedelta(minutes=1)
# rates are counted by key: whoever could make any number of them would have any rate
MAX_USABLE_KEYS = 100

logger = logging.getLogger(__name__)


class TooManyKeysError(ConflictError):
    """The owner has as many keys in use as anybody may have."""

    code = "too_many_keys"


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made, and its text, which nobody can read ever again."""

    key: ApiKey
    text: str

    def __repr__(self) -> str:
        """Name the key, not its text."""
        return f"NewKey({self.key!r})"


@sensitive_variables("text")
@transaction.atomic
def create(
    *,
    owner: User,
    name: str,
    scopes: Sequence[str],
    library_id: UUID | None = None,
    expires_at: datetime | None = None,
) -> NewKey:
    """Make a key of `owner` with `scopes`, names of `accounts.roles.Permission`, for one library or for all of theirs.

    Raises NotPermittedError where a key acts or the owner was deactivated, NotFoundError for a library that the owner
    may not see, InvalidValueError for an expiry in the past, TooManyKeysError, and ValidationError.
    """
    _require_may_create(owner, library_id=library_id, expires_at=expires_at)
    prefix = secrets.token_hex(PREFIX_BYTES)
    text = f"dk_{prefix}_{secrets.token_hex(SECRET_BYTES)}"
    key = ApiKey(
        owner=owner,
        name=name,
        prefix=prefix,
        secret_sha256=digest(text),
        scopes=sorted(set(scopes)),
        library_id=library_id,
        expires_at=expires_at,
    )
    key.full_clean()
    key.save()
    audit.record(
        action=AuditAction.KEY_CREATED,
        actor=owner,
        library_id=library_id,
        subject=key,
        details={"scopes": key.scopes, "expires_at": None if expires_at is None else expires_at.isoformat()},
    )
    return NewKey(key=key, text=text)


def _require_may_create(owner: User, *, library_id: UUID | None, expires_at: datetime | None) -> None:
    """Lock the owner's account, and raise what `create` does of what is asked for."""
    # two at once may not both be the last that is allowed
    locked = User.objects.select_for_update(no_key=True).filter(pk=owner.pk, is_active=True).first()
    if locked is None or owner.acting_key is not None:
        raise NotPermittedError("Keys are made by people, in person.")
    if library_id is not None and not Library.objects.visible_to(owner).filter(pk=library_id).exists():
        raise NotFoundError("There is no such library, or you may not see it.")
    if expires_at is not None and expires_at <= timezone.now():
        raise InvalidValueError("The expiry must lie in the future.", field="expires_at")
    if ApiKey.objects.usable().owned_by(locked).count() >= MAX_USABLE_KEYS:
        raise TooManyKeysError(f"You have {MAX_USABLE_KEYS} keys in use: revoke one first.", limit=MAX_USABLE_KEYS)


@transaction.atomic
def revoke(*, keys: QuerySet[ApiKey], actor: User) -> int:
    """End keys for good; gives how many had not been ended before. Owners may, and whoever runs the installation.

    Raises NotPermittedError, and ends none, if one of them is somebody else's, and where a key acts.
    """
    # in one order, so that two people who revoke the same keys do not wait for each other
    found = list(ApiKey.objects.filter(pk__in=keys.values("pk")).select_for_update(no_key=True).order_by("pk"))
    is_owner = actor.is_active and actor.acting_key is None and all(key.owner_id == actor.pk for key in found)
    if not is_owner and not actor.runs_installation:
        raise NotPermittedError("Keys are revoked by their owner, in person.")
    open_keys = [key for key in found if key.revoked_at is None]
    ApiKey.objects.filter(pk__in=[key.pk for key in open_keys]).update(revoked_at=Now())
    for key in open_keys:
        audit.record(action=AuditAction.KEY_REVOKED, actor=actor, library_id=key.library_id, subject=key)
    return len(open_keys)


@sensitive_variables("text")
def authenticate(*, text: str) -> User | None:
    """Give the owner of a key, acting with it (`User.acting_key`); None for a key that opens nothing (any more).

    The whole key is compared in constant time; its prefix only finds the row.
    """
    form = FORM.fullmatch(text)
    if form is None:
        return None
    key = (
        ApiKey.objects.usable()
        .select_related("owner")
        .annotate(use_is_due=ExpressionWrapper(_use_is_due(), output_field=BooleanField()))
        .filter(prefix=form["prefix"])
        .first()
    )
    if key is None or not constant_time_compare(digest(text), key.secret_sha256):
        return None
    if key.use_is_due:
        _note_use(key)
    user = key.owner
    user.acting_key = key
    return user


def owner_of(*, key_id: UUID) -> User | None:
    """Give the owner of a key that was recognised before, acting with it; None if it opens nothing any more."""
    key = ApiKey.objects.usable().select_related("owner").filter(pk=key_id).first()
    if key is None:
        return None
    key.owner.acting_key = key
    return key.owner


def _note_use(key: ApiKey) -> None:
    """Write when a key was last used. Of requests at once one does; none waits for it, and none fails of it."""
    try:
        with transaction.atomic():
            due = ApiKey.objects.select_for_update(skip_locked=True, no_key=True).filter(_use_is_due(), pk=key.pk)
            ApiKey.objects.filter(pk__in=due.values("pk")).update(last_used_at=Now())
    except DatabaseError:
        logger.warning("the use of the API key %s was not noted", key.prefix, exc_info=True)


def _use_is_due() -> Q:
    return Q(last_used_at__isnull=True) | Q(last_used_at__lte=Now() - USE_NOTED_EVERY)
