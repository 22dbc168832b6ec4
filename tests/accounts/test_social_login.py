"""Logging in with an account of an OpenID Connect issuer, which is a real process, through a real web server."""

import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import factories
import pytest
import requests
from allauth.socialaccount.models import SocialAccount
from concurrency import in_a_thread, wait_until_blocked
from django.conf import settings as django_settings
from django.core.exceptions import PermissionDenied
from django.db import connection, transaction
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer
from second_factors import code_of, enrol, wrong_code

from accounts import social_adapter
from accounts.models import AuditAction, AuditEvent, TokenFamily, User
from accounts.problems import ConflictError
from accounts.services import invitations, passwords, social_accounts, social_logins, users

pytestmark = pytest.mark.django_db(transaction=True)

FRONT_END = "https://photos.example.org/welcome"
LOST = "https://photos.example.org/login"


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    """The address of a provider that listens."""
    program = Path(__file__).with_name("oidc_provider.py")
    with subprocess.Popen([sys.executable, str(program)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        yield process.stdout.readline().decode().strip()
        process.kill()


@pytest.fixture(autouse=True)
def provider(settings: Settings, issuer: str) -> None:
    """It is set up as OIDC_ISSUER and the like do."""
    app = {
        "provider_id": "oidc",
        "name": "The office",
        "client_id": "darkroom",
        "secret": "secret of the client",
        "settings": {"server_url": issuer},
    }
    settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": [app], "OAUTH_PKCE_ENABLED": True}}
    settings.CSRF_TRUSTED_ORIGINS = ["https://photos.example.org"]
    settings.HEADLESS_FRONTEND_URLS = {"socialaccount_login_error": LOST}


class Browser:
    """Somebody's browser, step by step."""

    def __init__(self, server: LiveServer, issuer: str) -> None:
        self.server = server.url
        self.issuer = issuer
        self.http = requests.Session()

    def begin(self, **fields: str) -> requests.Response:
        """Post the form that leads to the provider."""
        offered = self.http.get(f"{self.server}/api/v1/auth/social/providers").json()
        assert offered["providers"] == [{"id": "oidc", "name": "The office"}]
        form = {"provider": "oidc", "process": "login", "callback_url": FRONT_END}
        form |= {"csrfmiddlewaretoken": offered["csrf_token"]} | fields
        return self.http.post(f"{self.server}{offered['action']}", data=form, allow_redirects=False)

    def consent(self, sub: str, **claims: Any) -> str:
        """Log in there; gives the address that the provider leads back to."""
        requests.put(f"{self.issuer}/users/{sub}", json=claims).raise_for_status()
        begun = self.begin()
        assert begun.status_code == 302
        assert begun.headers["Location"].startswith(f"{self.issuer}/oauth2/authorize?")
        answer = requests.post(begun.headers["Location"], data={"sub": sub}, allow_redirects=False)
        assert answer.headers["Location"].startswith(f"{self.server}/auth/oidc/callback?")
        return answer.headers["Location"]

    def come_back(self, address: str) -> str:
        """Follow the provider's answer; gives where that leads to."""
        answer = self.http.get(address, allow_redirects=False)
        assert answer.status_code == 302
        return answer.headers["Location"]

    def token(self, **body: str) -> requests.Response:
        return self.http.post(f"{self.server}/api/v1/auth/social/token", json=body)

    def log_in(self, sub: str, **claims: Any) -> requests.Response:
        """All of it, where nothing goes wrong before the tokens."""
        assert self.come_back(self.consent(sub, **claims)) == FRONT_END
        return self.token()

    def session(self) -> Any:
        """The session of this browser, as the server keeps it."""
        store = import_module(django_settings.SESSION_ENGINE).SessionStore
        return store(session_key=self.http.cookies["sessionid"])


@pytest.fixture
def browser(live_server: LiveServer, issuer: str) -> Iterator[Browser]:
    """A connection left open would keep the server's thread, and its own to the database."""
    browser = Browser(live_server, issuer)
    with browser.http:
        yield browser


@pytest.fixture
def other_browser(live_server: LiveServer, issuer: str) -> Iterator[Browser]:
    """Somebody else's."""
    browser = Browser(live_server, issuer)
    with browser.http:
        yield browser


def refusal(response: requests.Response) -> tuple[int, str]:
    assert response.headers["Content-Type"] == "application/problem+json"
    return response.status_code, response.json()["code"]


def assert_nobody_came_in() -> None:
    assert TokenFamily.objects.count() == 0
    assert SocialAccount.objects.count() == 0
    assert not AuditEvent.objects.filter(action=AuditAction.LOGIN_SUCCEEDED).exists()


def test_a_verified_address_opens_its_account(browser: Browser, issuer: str) -> None:
    user = factories.make_user(email="ada@example.org")

    response = browser.log_in("ada", email="Ada@example.org", email_verified=True, name="Ada")

    assert response.status_code == 200
    pair = response.json()
    assert set(pair) == {"access", "refresh"}
    me = f"{browser.server}/api/v1/auth/me"
    bearer = {"Authorization": f"Bearer {pair['access']}"}
    assert requests.get(me, headers=bearer).json()["id"] == str(user.pk)
    refreshed = requests.post(f"{browser.server}/api/v1/auth/token/refresh", json={"refresh": pair["refresh"]})
    assert refreshed.status_code == 200
    # the browser itself is logged in to nothing, and the answer of the provider was used up
    assert browser.http.get(me).status_code == 401
    assert refusal(browser.token()) == (401, "social_login_missing")
    linked = SocialAccount.objects.get()
    assert (linked.provider, linked.uid, linked.user, linked.extra_data) == (issuer, "ada", user, {})
    event = AuditEvent.objects.get(action=AuditAction.SOCIAL_LINKED)
    assert (event.actor_id, event.details) == (user.pk, {"provider": issuer, "new_account": False})
    assert AuditEvent.objects.filter(action=AuditAction.LOGIN_SUCCEEDED, actor_id=user.pk).count() == 1


def test_once_linked_the_address_does_not_matter(browser: Browser) -> None:
    user, other = factories.make_user(email="ada@example.org"), factories.make_user(email="other@example.org")
    assert browser.log_in("ada", email="ada@example.org", email_verified=True).status_code == 200

    assert browser.log_in("ada", email="other@example.org", email_verified=True).status_code == 200

    assert TokenFamily.objects.filter(user=user).count() == 2
    assert not other.token_families.exists()
    assert SocialAccount.objects.count() == 1


def test_a_wrong_state_is_refused(browser: Browser) -> None:
    factories.make_user(email="ada@example.org")
    address = browser.consent("ada", email="ada@example.org", email_verified=True)
    code = parse_qs(urlsplit(address).query)["code"][0]
    for state in ("wrong", ""):
        forged = f"{browser.server}/auth/oidc/callback?{urlencode({'code': code, 'state': state})}"
        assert browser.come_back(forged).startswith(f"{LOST}?error=unknown")

    assert refusal(browser.token()) == (401, "social_login_missing")
    assert_nobody_came_in()


def test_the_answer_is_for_the_browser_that_began(browser: Browser, other_browser: Browser) -> None:
    factories.make_user(email="mallory@example.org")
    other_browser.begin()

    address = browser.consent("mallory", email="mallory@example.org", email_verified=True)

    assert other_browser.come_back(address).startswith(f"{LOST}?error=unknown")
    assert refusal(other_browser.token()) == (401, "social_login_missing")
    assert_nobody_came_in()


@pytest.mark.parametrize("verifier", ["another proof, as long as a real one would have been", None])
def test_the_provider_gives_nothing_without_the_proof(browser: Browser, verifier: str | None) -> None:
    factories.make_user(email="ada@example.org")
    address = browser.consent("ada", email="ada@example.org", email_verified=True)
    session = browser.session()
    states = session["socialaccount_states"]
    ((state, *_),) = states.values()
    assert len(state["pkce_code_verifier"]) >= 43
    state["pkce_code_verifier"] = verifier
    session["socialaccount_states"] = states
    session.save()

    assert browser.come_back(address).startswith(f"{FRONT_END}?error=unknown")

    assert refusal(browser.token()) == (401, "social_login_missing")
    assert_nobody_came_in()


def test_an_answer_works_once(browser: Browser) -> None:
    factories.make_user(email="ada@example.org")
    address = browser.consent("ada", email="ada@example.org", email_verified=True)
    assert browser.come_back(address) == FRONT_END
    assert browser.token().status_code == 200

    assert browser.come_back(address).startswith(f"{LOST}?error=unknown")

    assert refusal(browser.token()) == (401, "social_login_missing")
    assert TokenFamily.objects.count() == 1


def test_who_says_no_at_the_provider_is_led_back(browser: Browser) -> None:
    begun = browser.begin()
    answer = requests.post(begun.headers["Location"], data={"action": "deny"}, allow_redirects=False)

    address = answer.headers["Location"]
    state = parse_qs(urlsplit(begun.headers["Location"]).query)["state"][0]
    # the provider leaves the state out of a refusal
    assert browser.come_back(f"{address}&{urlencode({'state': state})}").startswith(f"{FRONT_END}?error=cancelled")
    assert_nobody_came_in()


def test_a_letter_that_looks_like_another_opens_nobodys_account(browser: Browser) -> None:
    factories.make_user(email="mike@example.org")
    address = browser.consent("mallory", email="mi\u212ae@example.org", email_verified=True)
    assert browser.come_back(address) == f"{FRONT_END}?error=permission_denied&error_process=login"
    assert refusal(browser.token()) == (401, "social_login_missing")
    assert_nobody_came_in()


@pytest.mark.parametrize("verified", [False, "false", None])
def test_an_unverified_address_takes_over_no_account(browser: Browser, settings: Settings, verified: Any) -> None:
    settings.SOCIAL_SIGNUP = True
    user = factories.make_user(email="ada@example.org")
    claims = {"email": "ada@example.org"} | ({} if verified is None else {"email_verified": verified})

    assert refusal(browser.log_in("mallory", **claims)) == (401, "social_email_not_verified")

    assert_nobody_came_in()
    event = AuditEvent.objects.get(action=AuditAction.LOGIN_FAILED)
    assert event.subject_id == str(user.pk)
    assert event.details == {"way": "social", "why": "social_email_not_verified"}
    # nor does it make one
    assert refusal(browser.log_in("eve", email="eve@example.org")) == (401, "social_email_not_verified")
    assert User.objects.count() == 1


def test_an_answer_about_two_people_is_refused() -> None:
    """What the user info says is believed only of whom the ID token is about."""
    with pytest.raises(PermissionDenied):
        social_adapter._require_one_subject({"userinfo": {"sub": "ada"}, "id_token": {"sub": "mallory"}})

    social_adapter._require_one_subject({"userinfo": {"sub": "ada"}, "id_token": {"sub": "ada"}})
    social_adapter._require_one_subject({"id_token": {"sub": "ada"}})


def test_strangers_stay_out_unless_anybody_may_join(browser: Browser, settings: Settings) -> None:
    claims = {"email": "new@example.org", "email_verified": True, "name": "New"}
    assert refusal(browser.log_in("new", **claims)) == (401, "social_signup_closed")
    assert User.objects.count() == 0
    # a refusal is final
    assert refusal(browser.token()) == (401, "social_login_missing")
    settings.SOCIAL_SIGNUP = True

    assert browser.log_in("new", **claims).status_code == 200

    user = User.objects.get()
    assert (user.email, user.name, user.is_staff, user.has_usable_password()) == (
        "new@example.org",
        "New",
        False,
        False,
    )
    assert not user.memberships.exists()


def test_who_is_invited_may_join(browser: Browser) -> None:
    library = factories.make_library()
    admin, _ = (factories.make_member(library, role) for role in ("admin", "visitor"))
    invitations.invite(actor=admin, library=library, email="Grace@example.org")

    assert browser.log_in("grace", email="grace@example.org", email_verified=True).status_code == 200

    assert User.objects.filter(email="grace@example.org").exists()
    assert refusal(browser.log_in("other", email="other@example.org", email_verified=True))[1] == "social_signup_closed"


def test_an_invitation_of_who_may_not_invite_any_more_lets_nobody_join(browser: Browser) -> None:
    library = factories.make_library()
    admin, _ = (factories.make_member(library, role) for role in ("admin", "visitor"))
    invitations.invite(actor=admin, library=library, email="grace@example.org")
    admin.memberships.all().delete()

    answer = browser.log_in("grace", email="grace@example.org", email_verified=True)

    assert refusal(answer) == (401, "social_signup_closed")
    assert not User.objects.filter(email="grace@example.org").exists()


def test_an_account_that_is_made_at_this_moment_is_not_made_again(browser: Browser, settings: Settings) -> None:
    settings.SOCIAL_SIGNUP = True
    claims = {"email": "ada@example.org", "email_verified": True}
    browser.come_back(browser.consent("ada", **claims))
    with transaction.atomic():
        # it has looked for an account by then, and makes none yet
        with connection.cursor() as cursor:
            cursor.execute("LOCK TABLE accounts_invitation IN ACCESS EXCLUSIVE MODE")
        joining = in_a_thread(browser.token)
        wait_until_blocked()
        user = factories.make_user(email="ada@example.org")
    assert refusal(joining.result(20)) == (409, "conflict")
    assert_nobody_came_in()

    assert browser.token().status_code == 200
    assert SocialAccount.objects.get().user == user


def test_a_deactivated_account_stays_out(browser: Browser) -> None:
    user, superuser = factories.make_user(email="ada@example.org"), factories.make_user(is_superuser=True)
    claims = {"email": "ada@example.org", "email_verified": True}
    assert browser.log_in("ada", **claims).status_code == 200
    users.deactivate(user=user, actor=superuser)

    assert refusal(browser.log_in("ada", **claims)) == (401, "user_inactive")
    # nor by another account elsewhere
    assert refusal(browser.log_in("ada2", **claims)) == (401, "user_inactive")
    assert not TokenFamily.objects.filter(revoked_at__isnull=True).exists()


def test_what_was_taken_away_is_not_linked_by_its_address_alone(browser: Browser) -> None:
    user = factories.make_user(email="ada@example.org")
    claims = {"email": "ada@example.org", "email_verified": True}
    assert browser.log_in("ada", **claims).status_code == 200
    user.refresh_from_db()
    social_accounts.unlink(user=user, account_id=SocialAccount.objects.get().pk)

    assert refusal(browser.log_in("ada", **claims)) == (401, "social_link_refused")

    assert not social_accounts.linked(user=user).exists()
    assert not TokenFamily.objects.filter(revoked_at__isnull=True).exists()
    # another one of the same provider is another one
    assert browser.log_in("ada2", **claims).status_code == 200
    user.refresh_from_db()
    secret, _ = enrol(user)
    assert refusal(browser.log_in("ada", **claims)) == (401, "second_factor_required")
    assert browser.token(code=code_of(secret)).status_code == 200
    assert set(social_accounts.linked(user=user).values_list("uid", flat=True)) == {"ada", "ada2"}
    assert AuditEvent.objects.filter(action=AuditAction.SOCIAL_LINKED, actor_id=user.pk).count() == 3


def test_what_was_taken_away_may_make_an_account_of_its_own(browser: Browser, settings: Settings) -> None:
    user = factories.make_user(email="ada@example.org")
    assert browser.log_in("ada", email="ada@example.org", email_verified=True).status_code == 200
    user.refresh_from_db()
    social_accounts.unlink(user=user, account_id=SocialAccount.objects.get().pk)
    claims = {"email": "grace@example.org", "email_verified": True}
    assert refusal(browser.log_in("ada", **claims)) == (401, "social_signup_closed")
    settings.SOCIAL_SIGNUP = True

    assert browser.log_in("ada", **claims).status_code == 200

    assert social_accounts.linked(user=User.objects.get(email="grace@example.org")).count() == 1
    assert not social_accounts.linked(user=user).exists()


def test_a_login_that_overlaps_with_the_end_of_all_logins_links_nothing() -> None:
    """Whoever was let through before an account was taken away, or a second factor was set up, comes too late."""
    user = factories.make_user(email="ada@example.org")
    passwords.assign(user=user, password="another long passphrase")
    identity = social_logins.Identity("https://issuer.example.org", "ada", (user.email,), (), "")

    with pytest.raises(ConflictError, match="at the same moment"):
        social_logins._enter(None, identity, user, "")

    assert_nobody_came_in()


def test_the_second_factor_holds(browser: Browser) -> None:
    user = factories.make_user(email="ada@example.org")
    secret, _ = enrol(user)
    families = TokenFamily.objects.count()

    assert refusal(browser.log_in("ada", email="ada@example.org", email_verified=True)) == (
        401,
        "second_factor_required",
    )
    assert refusal(browser.token(code=wrong_code(secret))) == (401, "second_factor_wrong")
    assert (SocialAccount.objects.count(), TokenFamily.objects.count()) == (0, families)
    assert browser.http.get(f"{browser.server}/api/v1/auth/me").status_code == 401

    assert browser.token(code=code_of(secret)).status_code == 200
    assert SocialAccount.objects.get().user == user
    assert AuditEvent.objects.filter(action=AuditAction.SECOND_FACTOR_FAILED).count() == 1


def test_accounts_of_staff_are_linked_with_a_second_factor_alone(browser: Browser, settings: Settings) -> None:
    user = factories.make_user(email="root@example.org", is_superuser=True)
    claims = {"email": "root@example.org", "email_verified": True}
    assert refusal(browser.log_in("root", **claims)) == (401, "social_link_refused")
    assert_nobody_came_in()
    secret, _ = enrol(user)
    assert refusal(browser.log_in("root", **claims)) == (401, "second_factor_required")
    assert browser.token(code=code_of(secret)).status_code == 200
    # linked, and without it meanwhile
    user.authenticator_set.all().delete()
    settings.STAFF_SECOND_FACTOR = True
    assert refusal(browser.log_in("root", **claims)) == (401, "second_factor_enrolment_required")


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("google", "https://accounts.google.com/o/oauth2/v2/auth"),
        ("github", "https://github.com/login/oauth/authorize"),
    ],
)
def test_google_and_github_are_asked_with_state_and_challenge(
    browser: Browser, settings: Settings, name: str, address: str
) -> None:
    app = {"client_id": f"darkroom at {name}", "secret": "secret of the client"}
    settings.SOCIALACCOUNT_PROVIDERS = {name: {"APPS": [app], "OAUTH_PKCE_ENABLED": True}}
    offered = browser.http.get(f"{browser.server}/api/v1/auth/social/providers").json()
    assert [one["id"] for one in offered["providers"]] == [name]
    form = {"provider": name, "process": "login", "callback_url": FRONT_END}
    form["csrfmiddlewaretoken"] = offered["csrf_token"]

    begun = browser.http.post(f"{browser.server}{offered['action']}", data=form, allow_redirects=False)

    asked, _, query = begun.headers["Location"].partition("?")
    assert asked == address
    given = {name: values[0] for name, values in parse_qs(query).items()}
    assert given["client_id"] == f"darkroom at {name}"
    assert given["redirect_uri"] == f"{browser.server}/auth/{name}/callback"
    assert "email" in given["scope"]
    assert (given["code_challenge_method"], len(given["code_challenge"]), len(given["state"])) == ("S256", 43, 16)


def test_the_way_back_leads_to_nobody_else(browser: Browser) -> None:
    for callback_url in ("https://evil.example.net/", "javascript:alert(1)", "//evil.example.net/x"):
        answer = browser.begin(callback_url=callback_url)
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith(f"{LOST}?error=unknown")
    assert browser.begin(csrfmiddlewaretoken="forged").status_code == 403


def test_without_a_page_of_the_front_end_ours_says_that_it_failed(browser: Browser, settings: Settings) -> None:
    settings.HEADLESS_FRONTEND_URLS = {"socialaccount_login_error": settings.SOCIAL_LOGIN_ERROR_URL}

    address = browser.come_back(f"{browser.server}/auth/oidc/callback?code=x&state=wrong")

    assert address.startswith(f"{browser.server}/login-failed?error=unknown")
    answer = browser.http.get(address)
    assert answer.status_code == 200
    assert "You are not logged in" in answer.text


def test_an_answer_waits_ten_minutes(browser: Browser) -> None:
    factories.make_user(email="ada@example.org")
    browser.come_back(browser.consent("ada", email="ada@example.org", email_verified=True))
    session = browser.session()
    session["social_login"] |= {"at": time.time() - 601}
    session.save()

    assert refusal(browser.token()) == (401, "social_login_missing")


def test_a_provider_that_is_away_or_unknown_breaks_nothing(
    browser: Browser, settings: Settings, closed_port: int
) -> None:
    assert browser.http.get(f"{browser.server}/auth/google/callback?code=x&state=y").status_code == 404
    assert browser.http.get(f"{browser.server}/auth/other/callback?code=x&state=y").status_code == 404
    assert browser.begin(provider="github").headers["Location"].startswith(f"{LOST}?error=unknown")
    app = settings.SOCIALACCOUNT_PROVIDERS["openid_connect"]["APPS"][0]
    app["settings"] = {"server_url": f"http://127.0.0.1:{closed_port}"}

    assert browser.begin().headers["Location"].startswith(f"{LOST}?error=unknown")


@pytest.mark.parametrize(
    "path",
    [
        "/auth/oidc/login/",
        "/accounts/login/",
        "/accounts/signup/",
        "/_allauth/browser/v1/auth/login",
        "/_allauth/browser/v1/auth/signup",
        "/_allauth/app/v1/auth/provider/token",
    ],
)
def test_no_other_way_of_allauth_is_open(browser: Browser, path: str) -> None:
    assert browser.http.get(f"{browser.server}{path}").status_code == 404
