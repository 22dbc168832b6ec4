"""Whose fault an error is: by real errors where they can be had."""

import errno
from pathlib import Path

import boto3
import pytest
import redis
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from celery.exceptions import SoftTimeLimitExceeded
from concurrency import end_connection_of_this_thread
from django.core.files.base import ContentFile
from django.db import DataError, IntegrityError, InterfaceError, OperationalError, connection, transaction
from kombu import Connection

from photos import storage
from processing.engines import errors
from processing.failures import Failure, Fault, classify
from processing.models import StageRun
from processing.stages.base import InputMissingError


@pytest.mark.parametrize(
    ("error", "fault", "code"),
    [
        (errors.DamagedImageError("truncated"), Fault.PERMANENT, "damaged"),
        (errors.EmptyFileError("empty"), Fault.PERMANENT, "empty_file"),
        (errors.UnsupportedFormatError("what"), Fault.PERMANENT, "unsupported_format"),
        (errors.TooManyPixelsError("many"), Fault.PERMANENT, "too_many_pixels"),
        # another process, or another host, may do better
        (errors.OutOfMemoryError("4 GB"), Fault.ATTEMPT, "out_of_memory"),
        (errors.ModelNotInstalledError("none"), Fault.INFRASTRUCTURE, "model_not_installed"),
        (errors.DeviceUnavailableError("none"), Fault.INFRASTRUCTURE, "device_unavailable"),
        (errors.WeightsMismatchError("wrong"), Fault.INFRASTRUCTURE, "weights_mismatch"),
        (InputMissingError("no preview"), Fault.ATTEMPT, "input_missing"),
        (SoftTimeLimitExceeded(), Fault.ATTEMPT, "timed_out"),
        (ZeroDivisionError("a bug"), Fault.ATTEMPT, "unexpected_error"),
        (MemoryError(), Fault.ATTEMPT, "out_of_memory"),
        (DataError("too long"), Fault.ATTEMPT, "unexpected_error"),
        (IntegrityError("doubled"), Fault.ATTEMPT, "unexpected_error"),
        (OperationalError("gone"), Fault.INFRASTRUCTURE, "database_unavailable"),
        (InterfaceError("closed"), Fault.INFRASTRUCTURE, "database_unavailable"),
        (TimeoutError("slow"), Fault.INFRASTRUCTURE, "storage_unavailable"),
        (ConnectionResetError("reset"), Fault.INFRASTRUCTURE, "storage_unavailable"),
        (OSError(errno.ENOSPC, "disk full"), Fault.INFRASTRUCTURE, "storage_unavailable"),
        (OSError(errno.EIO, "bad disk"), Fault.INFRASTRUCTURE, "storage_unavailable"),
        (OSError(errno.EROFS, "read-only"), Fault.INFRASTRUCTURE, "storage_unavailable"),
        (PermissionError(errno.EACCES, "not ours"), Fault.INFRASTRUCTURE, "storage_unavailable"),
        (OSError(errno.EMFILE, "too many files"), Fault.INFRASTRUCTURE, "storage_unavailable"),
        (OSError("no number"), Fault.ATTEMPT, "unexpected_error"),
    ],
)
def test_faults(error: Exception, fault: Fault, code: str) -> None:
    failure = classify(error)
    assert (failure.fault, failure.code) == (fault, code)


def test_what_a_person_reads() -> None:
    assert classify(errors.DamagedImageError("truncated")) == Failure(Fault.PERMANENT, "damaged", "truncated")
    assert classify(errors.DamagedImageError()).detail == "DamagedImageError: "
    assert classify(ZeroDivisionError("a bug")).detail == "ZeroDivisionError: a bug"
    assert classify(SoftTimeLimitExceeded()).detail == "The work took longer than the task may."


def test_a_missing_file_is_the_photos_own_unless_all_are(photo_store: Path) -> None:
    def missing() -> Failure:
        with pytest.raises(FileNotFoundError) as error:
            storage.open_object(alias="originals", key="a/b")
        return classify(error.value)

    # as where the disk is not mounted
    assert (missing().fault, missing().code) == (Fault.INFRASTRUCTURE, "storage_unavailable")
    (photo_store / "originals").mkdir(parents=True)
    assert (missing().fault, missing().code) == (Fault.INFRASTRUCTURE, "storage_unavailable")
    storage.write_object(alias="originals", key="a/c", file=ContentFile(b"another"))
    assert (missing().fault, missing().code) == (Fault.ATTEMPT, "object_missing")
    assert classify(FileNotFoundError("no path")).code == "object_missing"


def test_a_store_that_does_not_answer_is_infrastructure(closed_port: int) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{closed_port}",
        region_name="eu-central-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=1),
    )
    with pytest.raises(BotoCoreError) as unreachable:
        client.head_bucket(Bucket="photos")
    assert classify(unreachable.value).code == "storage_unavailable"
    assert classify(unreachable.value).fault is Fault.INFRASTRUCTURE


def test_an_object_that_is_missing_in_a_bucket_is_the_photos_own(
    s3_endpoint: str, s3_storages: tuple[str, str]
) -> None:
    client = boto3.client("s3", endpoint_url=s3_endpoint, region_name="eu-central-1")
    with pytest.raises(ClientError) as missing:
        client.get_object(Bucket=s3_storages[0], Key="nowhere")
    assert (classify(missing.value).fault, classify(missing.value).code) == (Fault.ATTEMPT, "object_missing")
    with pytest.raises(ClientError) as head:
        client.head_object(Bucket=s3_storages[0], Key="nowhere")
    assert classify(head.value).code == "object_missing"
    with pytest.raises(ClientError) as bucket:
        client.get_object(Bucket="no-such-bucket", Key="nowhere")
    assert (classify(bucket.value).fault, classify(bucket.value).code) == (Fault.INFRASTRUCTURE, "storage_unavailable")
    with pytest.raises(ClientError) as head_bucket:
        client.head_bucket(Bucket="no-such-bucket")
    assert classify(head_bucket.value).code == "storage_unavailable"


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_the_database_ended_is_infrastructure() -> None:
    end_connection_of_this_thread()
    with pytest.raises((OperationalError, InterfaceError)) as ended:
        StageRun.objects.count()
    connection.close()
    assert (classify(ended.value).fault, classify(ended.value).code) == (Fault.INFRASTRUCTURE, "database_unavailable")


@pytest.mark.django_db
def test_what_the_database_refuses_is_not() -> None:
    with pytest.raises(DataError) as refused, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT 1 / 0")
    assert (classify(refused.value).fault, classify(refused.value).code) == (Fault.ATTEMPT, "unexpected_error")


def test_a_broker_that_is_down_is_infrastructure(closed_port: int) -> None:
    with pytest.raises(redis.RedisError) as refused:
        redis.Redis(port=closed_port, retry=None).ping()
    assert classify(refused.value).code == "broker_unavailable"
    with (
        Connection(f"redis://127.0.0.1:{closed_port}/0", transport_options={"max_retries": 0}) as broker,
        pytest.raises(Exception, match="refused") as down,
    ):
        broker.ensure_connection(max_retries=1, timeout=1)
    assert classify(down.value) == Failure(
        Fault.INFRASTRUCTURE, "broker_unavailable", f"{type(down.value).__name__}: {down.value}"
    )
