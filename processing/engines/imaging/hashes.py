"""Two fingerprints of a small rendition: one to draw while it loads, one to find its near copies."""

import imagehash
from PIL import Image
from thumbhash import rgba_to_thumb_hash

# ThumbHash keeps at most 7 cosine terms a side: beyond 48 px its bytes stay the same and only its time grows.
_THUMBHASH_SIDE = 48
_HASH_BITS = 64


def thumb_hash(image: Image.Image) -> bytes:
    """Return the ThumbHash (evanw/thumbhash, about 25 bytes) of an RGB image."""
    small = image.convert("RGBA")
    small.thumbnail((_THUMBHASH_SIDE, _THUMBHASH_SIDE), Image.Resampling.LANCZOS)
    return bytes(rgba_to_thumb_hash(small.width, small.height, list(small.tobytes())))


def perceptual_hash(image: Image.Image) -> int:
    """Return the 64-bit DCT hash (pHash, by imagehash) as a signed integer, which a bigint column holds.

    The Hamming distance of two hashes is the number of ones in their exclusive or.
    """
    bits = int(str(imagehash.phash(image)), 16)
    return bits - (1 << _HASH_BITS) if bits >> (_HASH_BITS - 1) else bits
