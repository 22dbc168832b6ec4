"""The pages that links in mails lead to, in a real browser."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import factories
import pytest
from browser import Browser
from browser import browser as open_browser
from concurrency import wait_until
from django.core.mail import EmailMessage
from django.test import Client
from django.utils import translation
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer
from second_factors import code_of, enrol

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
def test_somebody_with_a_second_factor_gives_its_code_too(live_server: LiveServer, browser: Browser) -> None:
    guest = factories.make_user(email=GUEST)
    secret, _ = enrol(guest)
    factories.make_invitation(factories.make_library(), token=TOKEN, email=GUEST)
    browser.open(f"{live_server.url}/invitation#{TOKEN}")
    fill(browser, name="Guest", password=NEW)
    browser.wait_for(f"{FORM} && {FORM}.id == 'with-account'")
    assert browser.evaluate(f"{FORM}.elements['code'].autocomplete") == "one-time-code"
    fill(browser, email=GUEST, password=factories.PASSWORD)
    assert said(browser) == "This account has a second factor: give its code as well."
    assert not guest.memberships.exists()
    fill(browser, code=code_of(secret))
    browser.wait_for(f"{SAID} == 'You have joined the library.'")
    assert guest.memberships.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_logout_that_fails_takes_nothing_back(live_server: LiveServer, browser: Browser) -> None:
    guest = factories.make_user(email=GUEST)
    factories.make_invitation(factories.make_library(), token=TOKEN, email=GUEST)
    browser.open(f"{live_server.url}/invitation#{TOKEN}")
    browser.command("Network.setBlockedURLs", urls=["*/auth/token/revoke"])
    fill(browser, name="Guest", password=NEW)
    browser.wait_for(f"{FORM} && {FORM}.id == 'with-account'")
    fill(browser, email=GUEST, password=factories.PASSWORD)
    assert said(browser) == "You have joined the library."
    assert guest.memberships.count() == 1
    # it did fail
    assert [family.revoked_at for family in TokenFamily.objects.all()] == [None]


@pytest.mark.django_db(transaction=True)
def test_whose_account_is_closed_is_told_whom_to_ask(live_server: LiveServer, browser: Browser) -> None:
    factories.make_user(email=GUEST, is_active=False)
    factories.make_invitation(factories.make_library(), token=TOKEN, email=GUEST)
    browser.open(f"{live_server.url}/invitation#{TOKEN}")
    fill(browser, name="Guest", password=NEW)
    assert said(browser).endswith("has been deactivated: ask whoever runs this installation.")
    assert Invitation.objects.open().count() == 1


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
def test_who_has_no_link_asks_for_one_and_learns_of_no_account(
    live_server: LiveServer, browser: Browser, settings: Settings, mailoutbox: list[EmailMessage]
) -> None:
    settings.PUBLIC_URL = live_server.url
    user = factories.make_user()
    answers = []
    for email in ("nobody@example.org", user.email):
        browser.open(f"{live_server.url}/password-reset")
        # nothing is wrong with a link where there was none
        assert browser.evaluate(SAID) == ""
        fill(browser, email=email)
        answers.append(said(browser))
        assert browser.evaluate(FORM) is None
    assert answers == ["If this address has an account, a mail is on its way."] * 2
    wait_until(lambda: len(mailoutbox) == 1, "no mail was sent")
    assert mailoutbox[0].to == [user.email]
    # a link of the mail, followed from the page that asked for it
    link = re.search(r"http\S+#\S+", mailoutbox[0].body).group()
    browser.open(link)
    fill(browser, password=NEW)
    assert said(browser).startswith("Your password is set.")
    user.refresh_from_db()
    assert user.check_password(NEW)
    assert [one for one in browser.said if not one.startswith("verbose")] == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("address", "fragment", "form"),
    # without its token, and with one that was cut off within a letter
    [("invitation", "", None), ("invitation", "#token%2", None), ("password-reset", "#token%2", "without-token")],
)
def test_a_link_that_is_not_whole_is_said_to_be(
    live_server: LiveServer, browser: Browser, address: str, fragment: str, form: str | None
) -> None:
    browser.open(f"{live_server.url}/{address}{fragment}")
    assert said(browser) == "This link is not whole. Open it from the mail once more."
    assert browser.evaluate(f"{FORM} && {FORM}.id") == form
    assert browser.evaluate("location.href") == f"{live_server.url}/{address}"


@pytest.mark.django_db
def test_who_has_forgotten_a_password_is_led_to_a_new_one(client: Client) -> None:
    factories.make_user(email=GUEST, is_staff=True)
    assert 'href="/password-reset"' in client.get("/admin/login/").content.decode()
    assert 'href="/password-reset"' in client.get("/invitation").content.decode()
    for _ in range(5):
        answer = client.post("/admin/login/", {"username": GUEST, "password": "a wrong password"})
    assert answer.status_code == 429
    assert 'href="/password-reset"' in answer.content.decode()


@pytest.mark.parametrize("address", ["/invitation", "/password-reset"])
def test_what_a_page_tells_other_pages(client: Client, address: str) -> None:
    response = client.get(address)
    assert response.status_code == 200
    assert response["Referrer-Policy"] == "no-referrer"
    assert "no-store" in response["Cache-Control"]
    assert "'unsafe" not in response["Content-Security-Policy"]
    assert client.post(address).status_code == 405


@pytest.mark.parametrize(
    # words that Django's own catalogue has
    ("address", "word"),
    [("/invitation", "<label>Passwort <"), ("/password-reset", "<label>Neues Passwort <"), ("/login-failed", "")],
)
def test_a_page_is_in_the_language_of_the_installation(client: Client, address: str, word: str) -> None:
    with translation.override("de"):
        page = client.get(address).content.decode()
    assert '<html lang="de">' in page
    assert word in page


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("cancelled", "You said no where you have the other account, or left before the end."),
        ("denied", "You were refused where you have the other account."),
        ("unknown", "Your login is not known any more"),
        ("<b>Pay here</b>", "Your login is not known any more"),
    ],
)
def test_who_failed_to_log_in_is_told_why(client: Client, error: str, reason: str) -> None:
    response = client.get("/login-failed", {"error": error, "error_process": "login"})
    page = response.content.decode()
    assert (response.status_code, reason in page, "Pay here" in page) == (200, True, False)
