"""Letting somebody else give an object away: where its file lies below a store, and addresses that a bucket signs."""

from typing import cast

from photos.metrics import storage_operation
from photos.storage.stores import store

# what a signed address is for, and the operation that it is signed over
_OPERATIONS = {"GET": "get_object", "HEAD": "head_object"}


def is_in_bucket(*, alias: str) -> bool:
    """Tell whether a store is a bucket, and not a disk."""
    return hasattr(store(alias), "bucket")


def check_object(*, alias: str, key: str) -> None:
    """Raise FileNotFoundError where an object of a disk is missing: whoever gives it away could not say so well."""
    with storage_operation(alias=alias, operation="open"):
        if not store(alias).exists(key):
            raise FileNotFoundError(f"{key} is not in {alias}")


def presigned_url(
    *, alias: str, key: str, seconds: int, method: str, content_type: str, disposition: str, cache_control: str
) -> str:
    """Give an address at which a bucket answers itself, for `seconds`, with the three headers as they are given.

    The signature covers method ("GET" or "HEAD"), object, headers and time: a changed one opens nothing. The bucket is
    not asked, so that an object that is missing is found out there.
    """
    storage = store(alias)
    address = storage.connection.meta.client.generate_presigned_url(
        _OPERATIONS[method],
        Params={
            "Bucket": storage.bucket_name,
            "Key": storage._normalize_name(key),  # noqa: SLF001 - no public way to the object
            "ResponseContentType": content_type,
            "ResponseContentDisposition": disposition,
            "ResponseCacheControl": cache_control,
        },
        ExpiresIn=seconds,
        HttpMethod=method,
    )
    return cast("str", address)
