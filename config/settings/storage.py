"""Where originals, renditions and static files lie: a disk, or S3 by STORAGE_TYPE=s3."""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any

from botocore.config import Config
from django.core.exceptions import ImproperlyConfigured

from config.settings.environment import VAR_DIR, env, path

STORAGE_TYPE = env.str("STORAGE_TYPE", default="disk")

# originals are the one thing that cannot be made again: they may deserve a disk of their own
ORIGINALS_DIR = path("ORIGINALS_DIR", VAR_DIR / "originals")
RENDITIONS_DIR = path("RENDITIONS_DIR", VAR_DIR / "renditions")

S3_BUCKET = env.str("S3_BUCKET", default="")
S3_THUMBNAIL_BUCKET = env.str("S3_THUMBNAIL_BUCKET", default="") or S3_BUCKET

AWS_S3_ENDPOINT_URL = env.str("AWS_S3_ENDPOINT_URL", default="") or None
# S3 itself has regions; other stores take any name, but a signature needs one
AWS_S3_REGION_NAME = env.str("AWS_S3_REGION_NAME", default="") or env.str("AWS_DEFAULT_REGION", default="us-east-1")
# without both, boto3 looks for credentials by itself (instance role, web identity)
AWS_ACCESS_KEY_ID = env.str("AWS_ACCESS_KEY_ID", default="") or None
AWS_SECRET_ACCESS_KEY = env.str("AWS_SECRET_ACCESS_KEY", default="") or None
AWS_SESSION_TOKEN = env.str("AWS_SESSION_TOKEN", default="") or None

# who sends the bytes, once Darkroom has decided who may have them. stream: Darkroom. x-accel: the nginx in front, from
# the disk. presigned: the bucket, at an address that is valid for MEDIA_URL_SECONDS
MEDIA_DELIVERY = env.str("MEDIA_DELIVERY", default="stream")
# whoever has such an address needs no permission: 5 minutes at most
MEDIA_URL_SECONDS = env.int("MEDIA_URL_SECONDS", default=300)


# the letters of a source's name: with a prefix it is a store's alias, of which 32 are kept
_SOURCE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,23}")


def import_sources(given: Iterable[str]) -> dict[str, str]:
    """Read `name=/folder` or `name=s3://bucket/prefix`, each. Raises ImproperlyConfigured for another."""
    sources: dict[str, str] = {}
    for one in given:
        name, _, place = one.strip().partition("=")
        is_bucket = place.startswith("s3://") and place.removeprefix("s3://").partition("/")[0] != ""
        is_folder = place.startswith("/") and ".." not in PurePosixPath(place).parts
        if not _SOURCE_NAME.fullmatch(name) or name in sources or not (is_bucket or is_folder):
            raise ImproperlyConfigured(
                f"IMPORT_SOURCES: {one!r} is not `name=/absolute/folder` or `name=s3://bucket/prefix`, or its name is "
                "there twice. A name has up to 24 small letters, digits, `-` and `_`."
            )
        sources[name] = place
    return sources


# where imports may read, and nowhere else: a client names one of these, never a folder
IMPORT_SOURCES = import_sources(env.list("IMPORT_SOURCES", default=[]))


def _disk(location: object) -> dict[str, Any]:
    return {"BACKEND": "photos.storage.DurableFileSystemStorage", "OPTIONS": {"location": str(location)}}


def _s3(bucket: str, location: str) -> dict[str, Any]:
    return {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": bucket,
            "location": location,  # so that both aliases may share one bucket
            "endpoint_url": AWS_S3_ENDPOINT_URL,
            "region_name": AWS_S3_REGION_NAME,
            "access_key": AWS_ACCESS_KEY_ID,
            "secret_key": AWS_SECRET_ACCESS_KEY,
            "security_token": AWS_SESSION_TOKEN,
            # a key is a pure function of what it holds: writing it again is the same object, not a new name
            "file_overwrite": True,
            # the bucket's own policy decides who reads, and it should be nobody
            "default_acl": None,
            "querystring_auth": True,
            "querystring_expire": 300,
            "client_config": Config(
                # MinIO and its like are reached by one host name, with the bucket in the path
                s3={"addressing_style": "path" if AWS_S3_ENDPOINT_URL else "auto"},
                signature_version="s3v4",
                connect_timeout=3,
                # twice this is far below the limit of a task: a store that hangs is said to hang, and the task goes on
                read_timeout=10,
                retries={"mode": "standard", "total_max_attempts": 2},
                max_pool_connections=32,
                # stores that are not S3 refuse the newer default checksums
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        },
    }


def photo_storages() -> dict[str, dict[str, Any]]:
    """Give the STORAGES entries of originals and renditions."""
    if STORAGE_TYPE == "s3":
        return {
            "originals": _s3(S3_BUCKET, "originals"),
            "renditions": _s3(S3_THUMBNAIL_BUCKET, "renditions"),
        }
    return {"originals": _disk(ORIGINALS_DIR), "renditions": _disk(RENDITIONS_DIR)}


def source_storages(sources: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Give the STORAGES entries of the sources of imports, which are read and never written."""
    entries = {}
    for name, place in sources.items():
        if place.startswith("s3://"):
            bucket, _, prefix = place.removeprefix("s3://").partition("/")
            entry = {**_s3(bucket, prefix), "BACKEND": "photos.storage.SourceBucket"}
        else:
            entry = {"BACKEND": "photos.storage.SourceFolder", "OPTIONS": {"location": place}}
        entries[f"source:{name}"] = entry
    return entries


STORAGES = {
    **photo_storages(),
    **source_storages(IMPORT_SOURCES),
    # nothing of ours uses it: files of packages that do not choose a storage
    "default": _disk(VAR_DIR / "files"),
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
