from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

if TYPE_CHECKING:
    from accounts.models.api_key import ApiKey


class UserManager(BaseUserManager["User"]):
    """Makes users with a normalised e-mail address and a hashed password."""

    def create_user(self, email: str, password: str | None = None, **extra: object) -> "User":
        """Create a user; without a password the account cannot log in with one."""
        if not email:
            raise ValueError("A user needs an e-mail address.")
        user = self.model(email=email, **extra)
        user.set_password(password)
        user.full_clean(exclude=["password"])  # also lowers the address
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **extra: object) -> "User":
        """Create somebody who runs the installation."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **extra)

    def get_by_natural_key(self, username: str | None) -> "User":
        """Find the account that logs in with this e-mail address, in whatever case it is typed."""
        return self.get(email=(username or "").lower())


def default_quota() -> int | None:
    """Give the quota of a new account, in bytes."""
    return settings.USER_QUOTA_BYTES


class User(AbstractBaseUser, PermissionsMixin):
    """A person who logs in with an e-mail address. `is_superuser` runs the installation.

    Where a program acts with a key of this user, `acting_key` is that key and narrows what the user may do; whoever
    checked the key sets it, and it is no column.
    """

    acting_key: "ApiKey | None" = None

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    email = models.EmailField(_("e-mail address"), max_length=254, unique=True)
    name = models.CharField(_("name"), max_length=150, blank=True)
    is_staff = models.BooleanField(_("may enter the admin"), default=False)
    is_active = models.BooleanField(_("active"), default=True)
    quota_bytes = models.PositiveBigIntegerField(
        _("quota in bytes"),
        null=True,
        blank=True,
        default=default_quota,
        help_text=_("Of originals uploaded to any library, those in the trash too; none: no limit."),
    )
    date_joined = models.DateTimeField(_("joined"), default=timezone.now, editable=False)
    # raised to end whatever was given out before: tokens, sessions and links that set a new password
    token_generation = models.PositiveIntegerField(default=0, db_default=0, editable=False)

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: list[str] = []

    objects = UserManager()

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")
        constraints = [
            # one person, one account: mail providers treat addresses without regard to case
            models.CheckConstraint(condition=Q(email=Lower("email")), name="user_email_is_lower_case"),
        ]

    def __str__(self) -> str:
        return self.email

    def get_full_name(self) -> str:
        """Give the name as the admin shows it."""
        return self.name

    def get_short_name(self) -> str:
        """Give what to greet somebody with."""
        return self.name or self.email

    @property
    def used_bytes(self) -> int:
        """Bytes of the originals that count towards the quota, as the database has counted them."""
        return self.usage.used_bytes if hasattr(self, "usage") else 0

    @property
    def runs_installation(self) -> bool:
        """Whether this is somebody who may do everything, in person: no key opens the installation itself."""
        return self.is_active and self.is_superuser and self.acting_key is None

    @property
    def is_privileged(self) -> bool:
        """Whether the account may enter the admin or runs the installation: more is asked of its logins."""
        return self.is_staff or self.is_superuser

    @property
    def has_second_factor(self) -> bool:
        """Whether logging in takes a code beside the password; reads the database."""
        return self.authenticator_set.filter(type="totp").exists()

    @property
    def must_enrol(self) -> bool:
        """Whether this account opens nothing until its second factor is set up; reads the database for staff alone."""
        return settings.STAFF_SECOND_FACTOR and self.is_privileged and not self.has_second_factor

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """Bind sessions to the generation of tokens beside the password: reactivating an account revives none."""
        value = f"{self.password}:{self.token_generation}"
        return salted_hmac("accounts.models.User.session", value, secret=secret, algorithm="sha256").hexdigest()

    def clean(self) -> None:
        """Write the address in lower case, as it is kept."""
        super().clean()
        self.email = self.email.lower()
