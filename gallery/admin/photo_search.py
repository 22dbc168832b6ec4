"""What the search of the photo list understands."""

import re

from django.contrib.auth.models import AnonymousUser
from django.db.models import Q
from django.utils.text import smart_split, unescape_string_literal

from accounts.ids import parse
from accounts.models import User
from photos.models import Face, Person

SHA256_LENGTH = 64
# a shorter beginning of a SHA-256 is as likely a word or the number of a file
PREFIX_MIN_LENGTH = 8
_HEX = re.compile(r"[0-9a-f]+", re.IGNORECASE)


def matching(words: str, *, user: User | AnonymousUser) -> Q:
    """Match photos of which every word (or "quoted words") says something.

    A word is part of the file's name, the title, a tag, the camera's make or model, or a person's name, or it is the
    photo's id or the beginning of its SHA-256.
    """
    condition = Q()
    for bit in smart_split(words):
        is_quoted = len(bit) > 1 and bit[0] in "\"'" and bit[0] == bit[-1]
        condition &= _matching_word(unescape_string_literal(bit) if is_quoted else bit, user)
    return condition


def _matching_word(word: str, user: User | AnonymousUser) -> Q:
    if photo_id := parse(word):
        return Q(pk=photo_id)
    if len(word) == SHA256_LENGTH and _HEX.fullmatch(word):
        return Q(sha256=word.lower())
    # asked by itself: a join would multiply the rows
    people = Person.objects.visible_to(user).filter(name__icontains=word)
    condition = (
        Q(original_filename__icontains=word)
        | Q(title__icontains=word)
        | Q(tag_names__icontains=word)
        | Q(camera_make__icontains=word)
        | Q(camera_model__icontains=word)
        | Q(pk__in=Face.objects.filter(person__in=people).values("photo_id"))
    )
    if len(word) >= PREFIX_MIN_LENGTH and _HEX.fullmatch(word):
        condition |= Q(sha256__startswith=word.lower())
    return condition
