"""Tokens that we did not make, or made for something else."""

import base64
import hashlib
import hmac
import json
import time
from datetime import timedelta
from typing import Any
from uuid import uuid4

import factories
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.conf import settings
from rest_framework.test import APIClient
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken

from accounts.models import AuditEvent, TokenFamily, User
from accounts.services import tokens
from accounts.services.tokens import TokenPair

pytestmark = pytest.mark.django_db

KEY = settings.SIMPLE_JWT["SIGNING_KEY"]


@pytest.fixture
def user() -> User:
    return factories.make_user()


@pytest.fixture
def pair(user: User) -> TokenPair:
    return tokens.begin(user=user)


def payload_of(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


def part(value: bytes | dict[str, Any]) -> str:
    data = json.dumps(value).encode() if isinstance(value, dict) else value
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def assert_refused(pair: TokenPair, *, access: str | None = None, refresh: str | None = None) -> None:
    """See that neither works, where the real ones would, and that nothing has come of it."""
    client = APIClient()
    if access is not None:
        response = client.get("/api/v1/auth/me", HTTP_AUTHORIZATION=f"Bearer {access}")
        assert (response.status_code, response.json()["code"]) == (401, "token_not_valid")
    if refresh is not None:
        for address in ("/api/v1/auth/token/refresh", "/api/v1/auth/token/revoke"):
            response = client.post(address, {"refresh": refresh})
            assert (response.status_code, response.json()["code"]) == (401, "token_not_valid")
    assert BlacklistedToken.objects.count() == 0
    assert TokenFamily.objects.unrevoked().count() == 1
    assert AuditEvent.objects.count() == 0
    assert client.get("/api/v1/auth/me", HTTP_AUTHORIZATION=f"Bearer {pair.access}").status_code == 200


def test_the_keys_are_two() -> None:
    assert KEY != settings.SECRET_KEY
    assert settings.SIMPLE_JWT["ALGORITHM"] == "HS256"
    assert "VERIFYING_KEY" not in settings.SIMPLE_JWT


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", ""])
@pytest.mark.parametrize("has_signature", [False, True])
def test_without_an_algorithm(pair: TokenPair, name: str, has_signature: bool) -> None:
    def unsigned(token: str) -> str:
        signature = token.rsplit(".", 1)[1] if has_signature else ""
        return f"{part({'alg': name, 'typ': 'JWT'})}.{token.split('.')[1]}.{signature}"

    assert_refused(pair, access=unsigned(pair.access), refresh=unsigned(pair.refresh))


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [(settings.SECRET_KEY, "HS256"), (KEY, "HS384"), (KEY, "HS512"), ("x" * 64, "HS256"), ("x" * 64, "HS512")],
)
def test_with_another_key_or_another_algorithm(pair: TokenPair, key: str, algorithm: str) -> None:
    hashing = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}[algorithm]

    def forged(token: str) -> str:
        signed = f"{part({'alg': algorithm, 'typ': 'JWT'})}.{token.split('.')[1]}"
        return f"{signed}.{part(hmac.new(key.encode(), signed.encode(), hashing).digest())}"

    assert_refused(pair, access=forged(pair.access), refresh=forged(pair.refresh))


def test_with_a_key_pair_of_the_forgers_own(pair: TokenPair) -> None:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    forged = [jwt.encode(payload_of(token), private, "RS256") for token in (pair.access, pair.refresh)]
    assert_refused(pair, access=forged[0], refresh=forged[1])


@pytest.mark.parametrize("algorithm", ["HS256", "RS256"])
def test_with_a_public_key_for_a_secret(pair: TokenPair, algorithm: str) -> None:
    """The confusion of keys: an HMAC made with what everybody may know, under either name."""
    public = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    def forged(token: str) -> str:
        signed = f"{part({'alg': algorithm, 'typ': 'JWT', 'jwk': {'kty': 'RSA'}})}.{token.split('.')[1]}"
        return f"{signed}.{part(hmac.new(pem, signed.encode(), hashlib.sha256).digest())}"

    assert_refused(pair, access=forged(pair.access), refresh=forged(pair.refresh))


def test_hs256_by_another_name(pair: TokenPair) -> None:
    """Even with the right key: the header does not choose."""

    def renamed(token: str) -> str:
        signed = f"{part({'alg': 'RS256', 'typ': 'JWT'})}.{token.split('.')[1]}"
        return f"{signed}.{part(hmac.new(KEY.encode(), signed.encode(), hashlib.sha256).digest())}"

    assert_refused(pair, access=renamed(pair.access), refresh=renamed(pair.refresh))


def test_changed_after_it_was_signed(pair: TokenPair, user: User) -> None:
    admin = factories.make_user(is_superuser=True)

    def changed(token: str) -> str:
        header, _, signature = token.split(".")
        return f"{header}.{part(payload_of(token) | {'user_id': str(admin.pk)})}.{signature}"

    assert_refused(pair, access=changed(pair.access), refresh=changed(pair.refresh))


def test_of_the_wrong_type(pair: TokenPair) -> None:
    assert_refused(pair, access=pair.refresh, refresh=pair.access)


@pytest.mark.parametrize("claim", ["token_type", "exp", "jti"])
def test_signed_by_us_without_a_claim(pair: TokenPair, claim: str) -> None:
    """Nobody but us can make these: they show that every claim is asked for."""

    def without(token: str) -> str:
        return jwt.encode({name: value for name, value in payload_of(token).items() if name != claim}, KEY, "HS256")

    assert_refused(pair, access=without(pair.access), refresh=without(pair.refresh))


@pytest.mark.parametrize("claim", ["user_id", "family"])
@pytest.mark.parametrize("value", [..., str(uuid4()), "nonsense", 7, None, ["x"], {"x": 1}, "\x00"])
def test_signed_by_us_with_a_claim_that_fits_nobody(pair: TokenPair, claim: str, value: object) -> None:
    """As above. Logging out with one is not refused: there is nothing that it could end."""

    def changed(token: str) -> str:
        payload = {name: old for name, old in payload_of(token).items() if name != claim}
        return jwt.encode(payload | ({} if value is ... else {claim: value}), KEY, "HS256")

    forged = [changed(token) for token in (pair.access, pair.refresh)]
    client = APIClient()
    response = client.get("/api/v1/auth/me", HTTP_AUTHORIZATION=f"Bearer {forged[0]}")
    assert (response.status_code, response.json()["code"]) == (401, "token_not_valid")
    response = client.post("/api/v1/auth/token/refresh", {"refresh": forged[1]})
    assert (response.status_code, response.json()["code"]) == (401, "token_not_valid")
    assert client.post("/api/v1/auth/token/revoke", {"refresh": forged[1]}).status_code == 204
    assert TokenFamily.objects.unrevoked().count() == 1


def test_a_family_opens_nobody_elses_account(pair: TokenPair) -> None:
    other = factories.make_user(is_superuser=True)
    claims = payload_of(str(AccessToken.for_user(other))) | {"family": payload_of(pair.access)["family"]}
    assert_refused(pair, access=jwt.encode(claims | {"generation": 0}, KEY, "HS256"))


def test_a_token_without_a_family_opens_nothing(pair: TokenPair, user: User) -> None:
    refresh = RefreshToken.for_user(user)
    assert_refused(pair, access=str(refresh.access_token))
    response = APIClient().post("/api/v1/auth/token/refresh", {"refresh": str(refresh)})
    assert (response.status_code, response.json()["code"]) == (401, "token_not_valid")


def test_expired(pair: TokenPair) -> None:
    past = {"exp": int(time.time()) - 1}
    forged = [jwt.encode(payload_of(token) | past, KEY, "HS256") for token in (pair.access, pair.refresh)]
    assert_refused(pair, access=forged[0], refresh=forged[1])


def test_access_lasts_five_minutes_and_refresh_two_weeks(pair: TokenPair) -> None:
    lifetimes = [payload["exp"] - payload["iat"] for payload in map(payload_of, (pair.access, pair.refresh))]
    assert lifetimes == [timedelta(minutes=5).total_seconds(), timedelta(days=14).total_seconds()]
