"""Requests about invitations, as those who invite and those who are invited send them."""

import re
from typing import Any

import factories
from django.core import mail
from rest_framework.test import APIClient

from accounts.models import AuditEvent, Invitation, Library, Membership, User

ACCEPT = "/api/v1/auth/invitations/accept"
GUEST = "guest@example.org"
NEW = "a long passphrase"
TOKEN = "the token of this test"


def address(library: Library) -> str:
    return f"/api/v1/libraries/{library.pk}/invitations"


def invite(user: User, library: Library, **body: str) -> Any:
    return factories.client_of(user).post(address(library), {"email": GUEST, **body})


def accept(token: str = TOKEN, *, client: APIClient | None = None, **body: str) -> Any:
    return (client or APIClient()).post(ACCEPT, {"token": token, "name": "Guest", "password": NEW, **body})


def mailed_token() -> str:
    return re.search(r"#(\S+)", mail.outbox[-1].body)[1]


def trail(library: Library) -> list[tuple[str, Any, dict[str, Any]]]:
    rows = AuditEvent.objects.filter(library_id=library.pk).order_by("id")
    return [(event.action, event.actor_id, event.details) for event in rows]


def assert_nobody_joined(library: Library, *, members: int = 0) -> None:
    assert Membership.objects.filter(library=library).count() == members
    assert not User.objects.filter(email=GUEST).exists()
    assert not AuditEvent.objects.filter(action="user.joined").exists()
    assert not Invitation.objects.filter(accepted_at__isnull=False).exists()
