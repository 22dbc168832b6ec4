"""One run: the data set, the measurements, the table."""

import argparse
import gc
import time

import numpy as np
from django.core.management import call_command
from django.db import connection
from rest_framework.test import APIClient

from accounts.models import Library, User
from accounts.services import tokens
from photos.models import FaceEmbedding, Photo
from processing.models import ModelSelection
from search_times import dataset
from search_times.cases import LIMITS, Values, cases
from search_times.measuring import Measured, measure
from search_times.recall import FACE_RECALL, recall_is_high

TABLES = (
    "photos_photo", "photos_phototag", "photos_tag", "photos_face", "photos_person", "photos_photoviews",
    "photos_faceembedding", "photos_photofingerprint", "processing_stagerun",
)  # fmt: skip
LIBRARIES = 20
EMAIL = "chief@example.org"


def run(options: argparse.Namespace) -> int:
    """Make, measure, tell."""
    call_command("migrate", verbosity=0)
    if not Photo.objects.exists():
        make(options)
    user = User.objects.get(email=EMAIL)
    ModelSelection.objects.get_or_create(
        task="face_embedding", model=dataset.MODEL, defaults={"weights_hash": "0" * 64, "in_use": True}
    )
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens.begin(user=user).access}")
    # as config/gunicorn.py has it, once all is loaded
    client.get("/api/v1/photos")
    gc.collect()
    gc.freeze()
    chosen = [case for case in cases(Values(user)) if options.only in case.name]
    measured = []
    for case in chosen:
        # a token lives for minutes
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens.begin(user=user).access}")
        measured.append(measure(case, client, seed=options.seed, requests=options.requests))
        tell(row(measured[-1]))
        if not measured[-1].keeps_its_promise:
            tell("\n".join([f"  BROKEN; the slowest was {measured[-1].slowest}", *measured[-1].faults]))
    is_near = options.only not in FACE_RECALL or recall_is_high(client, seed=options.seed, tell=tell)
    if options.report:
        options.report.write_text(table(measured))
    return 0 if is_near and all(one.keeps_its_promise for one in measured) else 1


def make(options: argparse.Namespace) -> None:
    """Make the data set."""
    started = time.monotonic()
    user = User.objects.create_superuser(EMAIL, "a long enough password")
    libraries = [
        Library.objects.create(
            name=f"Library {number}", face_analysis=True, face_analysis_changed_at=dataset.LAST_UPLOAD
        )
        for number in range(LIBRARIES)
    ]
    del user
    indexes = dataset.Indexes(TABLES)
    maker = dataset.Maker(photos=options.photos, seed=options.seed, tell=tell)
    maker.photos(maker.cast([library.pk for library in libraries]))
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO photos_photofingerprint (photo_id, library_id, hash, is_grouped) "
            "SELECT id, library_id, perceptual_hash, false FROM photos_photo"
        )
    made = dataset.embeddings(np.random.default_rng(options.seed), tell, at_most=options.vectors)
    tell(f"{made:,} vectors; rows took {time.monotonic() - started:.0f} s")
    indexes.make(tell)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    tell(
        f"made in {time.monotonic() - started:.0f} s: {Photo.objects.count():,} photos, "
        f"{FaceEmbedding.objects.count():,} vectors"
    )


def row(one: Measured) -> str:
    """Give a line of the table."""
    cells = (one.case.path, one.case.name, f"{one.p50:.0f}", f"{one.p95:.0f}", LIMITS[one.case.path])
    return f"| {' | '.join(map(str, cells))} | {', '.join(one.indexes)} |"


def table(measured: list[Measured]) -> str:
    """Give the table in Markdown."""
    head = "| address | filter | p50 ms | p95 ms | limit | indexes |\n| --- | --- | --- | --- | --- | --- |\n"
    return head + "\n".join(row(one) for one in measured) + "\n"


def tell(line: str) -> None:
    """Say it at once."""
    print(line, flush=True)  # noqa: T201 - a command's output
