"""Secrets of second factors are kept encrypted: whoever reads the table, or a backup of it, makes no codes."""

import base64
from collections.abc import Iterator

from allauth.mfa.adapter import DefaultMFAAdapter
from cryptography.fernet import Fernet, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

_KEY_BYTES = 32
_AT_REST = b"darkroom: second factors at rest"
_ENROLMENT = b"darkroom: enrolment of a second factor"


class SecondFactorAdapter(DefaultMFAAdapter):
    """Encrypts what allauth keeps. Raises cryptography's InvalidToken for what no key of the settings decrypts."""

    def encrypt(self, text: str) -> str:
        """Encrypt with the key that is in use."""
        return _ciphers(_AT_REST).encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Decrypt with that key or one of those before it."""
        return _ciphers(_AT_REST).decrypt(encrypted_text.encode()).decode()


def seal_enrolment(text: str) -> str:
    """Encrypt what the owner of an account carries from the begin of an enrolment to its end."""
    return _ciphers(_ENROLMENT).encrypt(text.encode()).decode()


def open_enrolment(sealed: str) -> str:
    """Give what was sealed in the last SECOND_FACTOR_ENROLMENT_SECONDS; raises cryptography's InvalidToken."""
    seconds = settings.SECOND_FACTOR_ENROLMENT_SECONDS
    return _ciphers(_ENROLMENT).decrypt(sealed.encode(), ttl=seconds).decode()


def _ciphers(purpose: bytes) -> MultiFernet:
    """Give a cipher for each key, the one in use first."""
    return MultiFernet([Fernet(_derived(key, purpose)) for key in _keys()])


def _keys() -> Iterator[str]:
    if settings.SECOND_FACTOR_KEY:
        yield settings.SECOND_FACTOR_KEY
    yield from settings.SECOND_FACTOR_KEY_FALLBACKS
    # also beside a key of its own: what was encrypted before there was one is read on
    yield settings.SECRET_KEY
    yield from settings.SECRET_KEY_FALLBACKS


def _derived(key: str, purpose: bytes) -> bytes:
    """Derive a key that gives away nothing of the one that it is made from (RFC 5869)."""
    derived = HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=purpose).derive(key.encode())
    return base64.urlsafe_b64encode(derived)
