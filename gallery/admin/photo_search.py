"""What the search of the photo list understands."""

import re
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.db.models import Q
from django.utils.text import smart_split, unescape_string_literal

from accounts.models import User
from photos.models import Face, Metadata, Person

SHA256_LENGTH = 64
# a shorter beginning of a SHA-256 is as likely a word or the number of a file
PREFIX_MIN_LENGTH = 8
_HEX = re.compile(r"[0-9a-f]+", re.IGNORECASE)


def matching(words: str, *, user: User | AnonymousUser) -> Q:
    """Match photos of which every word (or "quoted words") says something.

    A word is part of the file's name, of the camera's make or model, or of a person's name, or it is the photo's id or
    the beginning of its SHA-256.
    """
    condition = Q()
    for bit in smart_split(words):
        is_quoted = len(bit) > 1 and bit[0] in "\"'" and bit[0] == bit[-1]
        condition &= _matching_word(unescape_string_literal(bit) if is_quoted else bit, user)
    return condition


def _matching_word(word: str, user: User | AnonymousUser) -> Q:
    if photo_id := _uuid(word):
        return Q(pk=photo_id)
    if len(word) == SHA256_LENGTH and _HEX.fullmatch(word):
        return Q(sha256=word.lower())
    # each table is asked by itself: a join of all of them would multiply the rows
    cameras = Metadata.objects.filter(Q(camera_make__icontains=word) | Q(camera_model__icontains=word))
    people = Person.objects.visible_to(user).filter(name__icontains=word)
    condition = (
        Q(original_filename__icontains=word)
        | Q(pk__in=cameras.values("photo_id"))
        | Q(pk__in=Face.objects.filter(person__in=people).values("photo_id"))
    )
    if len(word) >= PREFIX_MIN_LENGTH and _HEX.fullmatch(word):
        condition |= Q(sha256__startswith=word.lower())
    return condition


def _uuid(word: str) -> UUID | None:
    try:
        return UUID(word)
    except ValueError:
        return None
