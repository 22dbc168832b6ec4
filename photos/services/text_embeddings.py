"""Vectors of words that were searched for, kept so that the same search needs no worker."""

import hashlib
from collections.abc import Sequence

from django.db import transaction

from photos.models import TextEmbedding

# some 10 MB; far more than people search for in a day
KEPT = 10_000


def cleaned(words: str) -> str:
    """Give words as they are compared: of the same case, with one space between two."""
    return " ".join(words.split()).lower()


def find(words: str, *, model: str, weights_hash: str) -> Sequence[float] | None:
    """Give the vector of words by a model with these weights; none where it is not kept."""
    rows = TextEmbedding.objects.filter(words_sha256=_hash(words), model=model, weights_hash=weights_hash)
    return rows.values_list("vector", flat=True).first()


@transaction.atomic
def keep(*, words: str, model: str, weights_hash: str, vector: Sequence[float]) -> None:
    """Keep a vector of words; beyond KEPT the oldest go. Kept at the same time by others it is the same."""
    row = TextEmbedding(
        words_sha256=_hash(words), model=model, weights_hash=weights_hash, dimensions=len(vector), vector=list(vector)
    )
    TextEmbedding.objects.bulk_create([row], ignore_conflicts=True)
    oldest_kept = TextEmbedding.objects.order_by("-made_at").values_list("made_at", flat=True)[KEPT - 1 : KEPT]
    if made_at := oldest_kept.first():
        TextEmbedding.objects.filter(made_at__lt=made_at).delete()


def _hash(words: str) -> str:
    return hashlib.sha256(cleaned(words).encode()).hexdigest()
