"""Who works in the admin, and what its pages say: for tests of several pages."""

from http import HTTPStatus

import factories
from django.contrib.auth.models import Permission
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import Library, Role, User
from accounts.roles import BUILT_IN_ROLES

DIALOG = {"_form_submitted": "True"}


def staff_client(library: Library, role: str) -> Client:
    """Give somebody whom the admin lets do everything, as far as a role in the library does."""
    if role in BUILT_IN_ROLES:
        user = factories.make_member(library, role)
    else:
        user = factories.make_user()
        factories.Membership.objects.create(library=library, user=user, role=Role.objects.get(name=role))
    User.objects.filter(pk=user.pk).update(is_staff=True)
    user.user_permissions.set(Permission.objects.all())
    client = Client()
    client.force_login(User.objects.get(pk=user.pk))
    return client


def messages_of(response: HttpResponse) -> list[str]:
    return [str(message) for message in response.context["messages"]]


def ask(client: Client, address: str, **given: str) -> list[str]:
    """Send a dialog off, and give what the page that is shown next says."""
    response = client.post(address, {**DIALOG, **given})
    assert response.status_code == HTTPStatus.OK
    assert "HX-Refresh" in response.headers or "HX-Redirect" in response.headers
    return messages_of(client.get("/admin/"))


def offered(client: Client, address: str) -> set[str]:
    """Give the names of the acts that the head of a page offers."""
    actions = client.get(address).context["actions_detail"]
    return {action["path"].rstrip("/").rsplit("/", 1)[-1] for action in actions}


def found(client: Client, address: str) -> list[object]:
    """Give the rows that a list shows."""
    response = client.get(address)
    assert response.status_code == HTTPStatus.OK, response.headers
    return list(response.context["cl"].result_list)


def cost(client: Client, address: str, *, rows: int) -> int:
    """Count the queries of a list that shows so many rows."""
    with CaptureQueriesContext(connection) as queries:
        assert len(found(client, address)) == rows
    return len(queries)
