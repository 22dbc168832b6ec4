"""Why somebody can or cannot see a photo: the one visibility rule, step by step.

The answer is that of `Photo.objects.visible_to`; the steps say what led to it, and a test holds the two together.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from accounts.models import ApiKey, Membership, User
from accounts.problems import NotFoundError
from accounts.roles import Permission
from photos.models import Photo


@dataclass(frozen=True, slots=True)
class Step:
    """A condition: what it is about, whether it is met, and how things are."""

    name: str
    is_met: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Whether `user` sees `photo`, and the steps of the rule: all are met, or one of them says why not."""

    user: User
    photo: Photo
    is_visible: bool
    steps: tuple[Step, ...]

    @property
    def summary(self) -> str:
        """The answer in one sentence, with the reasons against."""
        key = self.user.acting_key
        who = str(self.user) if key is None else f"{self.user} with the key {key}"
        if self.is_visible:
            return f"{who} sees the photo {self.photo.pk}."
        reasons = "; ".join(step.detail for step in self.steps if not step.is_met)
        return f"{who} does not see the photo {self.photo.pk}: {reasons}."


def account_named(named: str) -> User:
    """Give the account with an e-mail address, in any case, or an id. Raises NotFoundError if there is none."""
    try:
        found = User.objects.filter(pk=UUID(named))
    except ValueError:
        found = User.objects.none() if "\x00" in named else User.objects.filter(email=named.strip().lower())
    user = found.first()
    if user is None:
        raise NotFoundError(f"There is no account {named}.")
    return user


def use_key(user: User, prefix: str) -> None:
    """Let the account act with the key of its own that begins so, `dk_` said or not; raises NotFoundError."""
    plain = prefix.removeprefix("dk_")
    key = ApiKey.objects.usable().select_related("library").filter(owner=user, prefix=plain).first()
    if key is None:
        raise NotFoundError(f"{user} has no key dk_{plain} that opens anything.")
    user.acting_key = key


def explain_access(*, user: User, photo_id: UUID) -> Explanation:
    """Explain whether `user`, in person or with `acting_key`, sees a photo. Raises NotFoundError if there is none."""
    photo = Photo.objects.select_related("library").filter(pk=photo_id).first()
    if photo is None:
        raise NotFoundError(f"There is no photo {photo_id}: it never was, or it was deleted for good.")
    is_visible = Photo.objects.visible_to(user).filter(pk=photo_id).exists()
    steps = (_account(user), *_key(user, photo), _library(photo), _role(user, photo), _trash(user, photo))
    return Explanation(user, photo, is_visible, steps)


def _account(user: User) -> Step:
    return Step("Account", user.is_active, "the account is active" if user.is_active else "the account is deactivated")


def _key(user: User, photo: Photo) -> Iterator[Step]:
    key = user.acting_key
    if key is None:
        return
    has_scope = Permission.VIEW_PHOTOS in key.scopes
    yield Step(
        "Scope of the key",
        has_scope,
        f"the key {key} {'has' if has_scope else 'does not have'} the scope {Permission.VIEW_PHOTOS.value}",
    )
    opens = key.library_id in (None, photo.library_id)
    told = "every library of its owner" if key.library_id is None else f"the library {key.library} alone"
    yield Step("Library of the key", opens, f"the key {key} opens {told}")


def _library(photo: Photo) -> Step:
    since = photo.library.erasure_requested_at
    if since is None:
        return Step("Library", True, f"the library {photo.library} is not being erased")
    detail = f"the library {photo.library} is being erased since {since:%Y-%m-%d %H:%M} UTC, and lets nobody in"
    return Step("Library", False, detail)


def _role(user: User, photo: Photo) -> Step:
    """Say what the role in the photo's library gives; superusers need none."""
    if user.is_superuser:
        return Step("Role", True, "a superuser sees all libraries, without a role in them")
    membership = Membership.objects.select_related("role").filter(library=photo.library_id, user=user.pk).first()
    if membership is None:
        return Step("Role", False, f"no member of the library {photo.library}")
    role, allows = membership.role, Permission.VIEW_PHOTOS in membership.role.permissions
    verb = "allows" if allows else "does not allow"
    detail = f"{role.name} in the library {photo.library}, which {verb} {Permission.VIEW_PHOTOS.value}"
    return Step("Role", allows, detail)


def _trash(user: User, photo: Photo) -> Step:
    if photo.trashed_at is None:
        return Step("Trash", True, "the photo is not in the trash")
    detail = f"the photo is in the trash since {photo.trashed_at:%Y-%m-%d %H:%M} UTC"
    if Photo.objects.in_trash_of(user).filter(pk=photo.pk).exists():
        detail += ", from where this user may bring it back"
    return Step("Trash", False, detail)
