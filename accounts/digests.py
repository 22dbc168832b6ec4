"""What is kept of a secret that is told once: the key of a program, or the token behind a link."""

import hashlib

from django.views.decorators.debug import sensitive_variables


@sensitive_variables("text")
def digest(text: str) -> str:
    """Give the SHA-256 (hex) of a secret that has 256 random bits of its own: it needs no slow hash. Passwords do."""
    return hashlib.sha256(text.encode()).hexdigest()
