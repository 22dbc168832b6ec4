"""System checks of mail: who is invited, or has forgotten a password, has to get a link that leads here."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register  # noqa: A004 - Django's name

CONSOLE = "django.core.mail.backends.console.EmailBackend"


@register(Tags.security, deploy=True)
def check_mail(**_: Any) -> list[CheckMessage]:
    """See that mail is sent, and that its links lead to where people find this installation."""
    found: list[CheckMessage] = []
    if settings.EMAIL_BACKEND == CONSOLE:
        message = "Mail is printed where the web server writes its output, with tokens that open accounts."
        hint = "Set EMAIL_URL, such as smtp+tls://user:password@mail.example.org:587."
        found.append(Warning(message, hint=hint, id="accounts.W001"))
    address = urlsplit(settings.PUBLIC_URL)
    if address.scheme != "https" or address.hostname in (None, "localhost"):
        message = f"Links in mails begin with {settings.PUBLIC_URL}."
        hint = "Set PUBLIC_URL to the https:// address at which people find this installation."
        found.append(Warning(message, hint=hint, id="accounts.W002"))
    return found
