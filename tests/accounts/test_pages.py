"""The pages that links in mails lead to, in a real browser."""

from collections.abc import Callable, Iterator
from pathlib import Path

import factories
import pytest
from browser import Browser
from browser import browser as open_browser
from django.test import Client
from pytest_django.live_server_helper import LiveServer

from accounts.models import Invitation, Membership, TokenFamily, User
from accounts.services import passwords, tokens

GUEST = "guest@example.org"
TOKEN = "token-of-this_test"
NEW = "a long passphrase"

SAID = "(document.getElementById('said').hidden ? '' : document.getElementById('said').textContent)"
FORM = "document.querySelector('form:not([hidden])')"


@pytest.fixture
def browser(program: Callable[[str], str], tmp_path: Path) -> Iterator[Browser]:
    with open_browser(program("chromium"), tmp_path) as opened:
        yield opened


def fill(browser: Browser, **values: str) -> None:
    """Fill the form that is shown, and press its button."""
    for name, value in values.items():
        browser.evaluate(f"{FORM}.elements[{name!r}].value = {value!r}")
    browser.evaluate(f"{FORM}.querySelector('button').click()")


def said(browser: Browser) -> str:
    """Wait until the page says something, and is ready for more."""
    browser.wait_for(f"{SAID} != '' && !document.querySelector('button:disabled')")
    return browser.evaluate(SAID)


@pytest.mark.django_db(transaction=True)
def test_an_invitation_makes_an_account(live_server: LiveServer, browser: Browser) -> None:
    library = factories.make_library()
    factories.make_invitation(library, token=TOKEN, email=GUEST)
    browser.open(f"{live_server.url}/invitation#{TOKEN}")
    # nobody reads it over a shoulder, in the history or on a screenshot
    assert browser.evaluate("location.href") == f"{live_server.url}/invitation"
    fill(browser, name="Guest", password="1234")
    assert "too short" in said(browser)
    assert not User.objects.filter(email=GUEST).exists()
    fill(browser, name="Guest", password=NEW)
    browser.wait_for(f"{SAID}.startsWith('You have joined')")
    assert browser.evaluate(FORM) is None
    guest = User.objects.get(email=GUEST)
    assert (guest.name, guest.check_password(NEW)) == ("Guest", True)
    assert Membership.objects.get(user=guest).library == library


@pytest.mark.django_db(transaction=True)
def test_somebody_with_an_account_logs_in_to_join_and_is_logged_out_then(
    live_server: LiveServer, browser: Browser
) -> None:
    guest = factories.make_user(email=GUEST)
    factories.make_invitation(factories.make_library(), token=TOKEN, email=GUEST)
    browser.open(f"{live_server.url}/invitation#{TOKEN}")
    fill(browser, name="Guest", password=NEW)
    browser.wait_for(f"{FORM} && {FORM}.id == 'with-account'")
    fill(browser, email=GUEST, password="a wrong passphrase")
    assert said(browser) == "No active account has this address and this password."
    fill(browser, email=GUEST, password=factories.PASSWORD)
    browser.wait_for(f"{SAID} == 'You have joined the library.'")
    assert guest.memberships.count() == 1
    assert Invitation.objects.open().count() == 0
    assert [family.revoked_at is None for family in TokenFamily.objects.all()] == [False]


@pytest.mark.django_db(transaction=True)
def test_a_new_password_is_set_once(live_server: LiveServer, browser: Browser) -> None:
    user = factories.make_user()
    pair = tokens.begin(user=user)
    token = f"{user.pk.hex}.{passwords._reset_tokens.make_token(user)}"
    browser.open(f"{live_server.url}/password-reset#{token}")
    fill(browser, password=NEW)
    assert said(browser).startswith("Your password is set.")
    user.refresh_from_db()
    assert user.check_password(NEW)
    with pytest.raises(tokens.RefusedTokenError):
        tokens.rotate(refresh=pair.refresh)
    browser.open(f"{live_server.url}/password-reset#{token}")
    fill(browser, password="another long passphrase")
    assert "was used before" in said(browser)
    user.refresh_from_db()
    assert user.check_password(NEW)


@pytest.mark.django_db(transaction=True)
def test_a_link_that_is_not_whole_is_said_to_be(live_server: LiveServer, browser: Browser) -> None:
    browser.open(f"{live_server.url}/password-reset")
    assert said(browser) == "This link is not whole. Open it from the mail once more."
    assert browser.evaluate(FORM) is None


@pytest.mark.parametrize("address", ["/invitation", "/password-reset"])
def test_what_a_page_tells_other_pages(client: Client, address: str) -> None:
    response = client.get(address)
    assert response.status_code == 200
    assert response["Referrer-Policy"] == "no-referrer"
    assert "no-store" in response["Cache-Control"]
    assert "'unsafe" not in response["Content-Security-Policy"]
    assert client.post(address).status_code == 405
