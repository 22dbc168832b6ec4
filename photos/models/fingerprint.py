from collections.abc import Iterable
from itertools import combinations
from typing import Self

from django.db import models
from django.db.models import BigIntegerField, F, Func, IntegerField, Q, Value
from django.db.models.expressions import Combinable
from django.utils.translation import gettext_lazy as _

from accounts.models import Library
from photos.models.photo import Photo

HASH_BITS = 64
BLOCK_BITS = 16
BLOCKS = HASH_BITS // BLOCK_BITS
# of two hashes that differ in 11 bits or fewer one of the four blocks differs in two bits or fewer; beyond it lie
# pictures that have nothing in common
FARTHEST = 11


def _block(number: int) -> Combinable:
    """Give 16 bits of the hash, as the indexes have them."""
    return F("hash").bitrightshift(number * BLOCK_BITS).bitand((1 << BLOCK_BITS) - 1)


class FingerprintQuerySet(models.QuerySet["PhotoFingerprint"]):
    """Reads of perceptual hashes."""

    def near(self, value: int, *, farthest: int = FARTHEST) -> Self:
        """Hashes that differ from this one in `farthest` bits or fewer, with `distance`, exactly and all of them.

        Multi-index hashing (Norouzi, Punjani and Fleet, Fast search in Hamming space with multi-index hashing, 2012):
        where few bits differ, a block of the hash differs in very few, and those are looked up. Raises ValueError
        beyond FARTHEST.
        """
        if not 0 <= farthest <= FARTHEST:
            raise ValueError(f"The farthest distance is 0 to {FARTHEST}, not {farthest}.")
        some_block_is_near = Q()
        for number in range(BLOCKS):
            block = (value >> number * BLOCK_BITS) & ((1 << BLOCK_BITS) - 1)
            some_block_is_near |= Q(**{f"block_{number}__in": sorted(_around(block, farthest // BLOCKS))})
        blocks = {f"block_{number}": _block(number) for number in range(BLOCKS)}
        near = self.alias(**blocks).filter(some_block_is_near)
        return near.annotate(distance=_distance_to(value)).filter(distance__lte=farthest)


class PhotoFingerprint(models.Model):
    """A photo's perceptual hash, apart from the photo: a narrow row that is looked up by its parts.

    `is_grouped` tells whether the search for near-duplicates has looked at the photo as it is now.
    """

    photo = models.OneToOneField(Photo, primary_key=True, on_delete=models.CASCADE, related_name="fingerprint")
    # repeated from the photo: looked up within a library
    library = models.ForeignKey(Library, on_delete=models.PROTECT, related_name="fingerprints")
    hash = models.BigIntegerField(_("perceptual hash"))
    is_grouped = models.BooleanField(default=False, editable=False)

    objects = FingerprintQuerySet.as_manager()

    class Meta:
        verbose_name = _("fingerprint")
        verbose_name_plural = _("fingerprints")
        indexes = [
            *(
                models.Index(F("library"), _block(number), name=f"fingerprint_block_{number}")
                for number in range(BLOCKS)
            ),
            models.Index(fields=["library", "photo"], name="fingerprint_ungrouped", condition=Q(is_grouped=False)),
        ]

    def __str__(self) -> str:
        return f"fingerprint of {self.photo_id}"


def _distance_to(value: int) -> Func:
    """Count the bits in which the column differs from a value."""
    return Func(
        F("hash").bitxor(Value(value, output_field=BigIntegerField())),
        template="bit_count((%(expressions)s)::bit(64))",
        output_field=IntegerField(),
    )


def _around(block: int, bits: int) -> Iterable[int]:
    """Give the values of 16 bits that differ from this one in so many bits or fewer: 1, 17 or 137 of them."""
    found = set()
    for count in range(bits + 1):
        for places in combinations(range(BLOCK_BITS), count):
            found.add(block ^ sum(1 << place for place in places))
    return found
