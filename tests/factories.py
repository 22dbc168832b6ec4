"""Rows and files for tests of the ways in and out. Each call makes something new."""

import hashlib
import io
import itertools
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.files.base import ContentFile
from django.utils import timezone
from PIL import Image
from rest_framework.test import APIClient

from accounts.models import Invitation, Library, Membership, Role, User
from accounts.roles import BUILT_IN_ROLES
from accounts.services import tokens
from photos import storage
from photos.models import (
    DecisionKind,
    Face,
    FaceLink,
    LinkKind,
    Metadata,
    Person,
    PersonDecision,
    Photo,
    Rendition,
    Tag,
)
from photos.services import shown, tags
from processing.models import RunState, StageRun

PASSWORD = "correct horse battery"

_numbers = itertools.count(1)


def make_user(**values: Any) -> User:
    """Make a user whose password is PASSWORD."""
    email = values.pop("email", f"user{next(_numbers)}@example.org")
    return User.objects.create_user(email, PASSWORD, **values)


FACES_OFF: dict[str, Any] = {"face_analysis": False, "face_analysis_changed_at": None}


def make_library(**values: Any) -> Library:
    """Make a library without members, with face analysis on unless FACES_OFF: where it is off nobody sees faces."""
    on = {"face_analysis": True, "face_analysis_changed_at": timezone.now()}
    return Library.objects.create(**{"name": f"library {next(_numbers)}", **on, **values})


def make_member(library: Library, role: str) -> User:
    """Make a user who holds a built-in role in a library."""
    user = make_user()
    # made by a migration, and gone after a test whose transactions were real
    given, _ = Role.objects.get_or_create(
        name=role, defaults={"permissions": BUILT_IN_ROLES[role], "is_built_in": True}
    )
    Membership.objects.create(library=library, user=user, role=given)
    return user


def make_invitation(library: Library, *, token: str = "", role: str = "visitor", **values: Any) -> Invitation:
    """Make an open invitation by a superuser, with this token or another one each time."""
    number = next(_numbers)
    # made by a migration, and gone after a test whose transactions were real
    given, _ = Role.objects.get_or_create(
        name=role, defaults={"permissions": BUILT_IN_ROLES[role], "is_built_in": True}
    )
    return Invitation.objects.create(
        **{
            "email": f"guest{number}@example.org",
            "library": library,
            "role": given,
            "invited_by": values.pop("invited_by", None) or make_user(is_superuser=True),
            "token_sha256": hashlib.sha256((token or f"token {number}").encode()).hexdigest(),
            "expires_at": timezone.now() + timedelta(days=7),
            **values,
        }
    )


def client_of(user: User) -> APIClient:
    """Make an API client that sends an access token of the user."""
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens.begin(user=user).access}")
    return client


def image_bytes(
    image_format: str = "JPEG", *, size: tuple[int, int] = (40, 30), colour: tuple[int, int, int] | None = None
) -> bytes:
    """Encode a small picture of one colour; another one each time unless the colour is given."""
    number = next(_numbers)
    buffer = io.BytesIO()
    # steps that no encoder rounds off
    another = tuple(32 * (number // 8**place % 8) for place in range(3))
    Image.new("RGB", size, colour or another).save(buffer, image_format)
    return buffer.getvalue()


def make_photo(library: Library, *, data: bytes | None = None, **values: Any) -> Photo:
    """Make a photo. With `data` its original is stored, without it lies nowhere."""
    number = next(_numbers)
    content = data if data is not None else f"photo {number}".encode()
    photo = Photo(
        **{
            "library": library,
            "original_filename": f"{number}.jpg",
            "sha256": hashlib.sha256(content).hexdigest(),
            "byte_size": len(content),
            "image_format": "JPEG",
            "mime_type": "image/jpeg",
            "width": 40,
            "height": 30,
            "storage_alias": storage.ORIGINALS,
            **values,
        }
    )
    photo.storage_key = storage.original_key(library_id=library.pk, photo_id=photo.pk)
    photo.save()
    if data is not None:
        storage.write_object(alias=storage.ORIGINALS, key=photo.storage_key, file=ContentFile(data))
    return photo


def make_rendition(photo: Photo, kind: str, *, data: bytes | None = None, **values: Any) -> Rendition:
    """Make a rendition of version `1.aaaa`. With `data` it is stored, without it lies nowhere."""
    content = data if data is not None else b"nowhere"
    version = values.get("version", "1.aaaa")
    key = storage.rendition_key(library_id=photo.library_id, photo_id=photo.pk, kind=kind, version=version)
    if data is not None:
        storage.write_object(alias=storage.RENDITIONS, key=key, file=ContentFile(data))
    fields = {"version": version, "mime_type": "image/jpeg", "width": 40, "height": 30, "storage_key": key, **values}
    sha256 = hashlib.sha256(content).hexdigest()
    return Rendition.objects.create(photo=photo, kind=kind, byte_size=len(content), sha256=sha256, **fields)


def make_metadata(photo: Photo, **values: Any) -> Metadata:
    """Make metadata that says nothing but what is given."""
    metadata = Metadata.objects.create(photo=photo, **{"version": "1.bbbb", **values})
    shown.refresh(photo_ids=[photo.pk])
    return metadata


def make_person(library: Library, **values: Any) -> Person:
    """Make a person without faces."""
    return Person.objects.create(library=library, **values)


def decide(face: Face) -> None:
    """Write the decision that a face is whose it is."""
    about = {"library_id": face.photo.library_id, "person": face.person}
    decision = PersonDecision.objects.create(kind=DecisionKind.MOVE, **about)
    FaceLink.objects.create(decision=decision, face=face, person=face.person, kind=LinkKind.IS)


def make_face(
    photo: Photo, *, person: Person | None = None, chip: bytes | None = None, is_counted: bool = True, **values: Any
) -> Face:
    """Make a face that is kept. With `chip` its chip is stored; one that is `person_decided` has its decision.

    Unless it `is_counted` the photo is not told of it, nor locked.
    """
    key = storage.chip_key(
        library_id=photo.library_id, photo_id=photo.pk, version="1.cccc", position=f"place{next(_numbers)}"
    )
    if chip is not None:
        storage.write_object(alias=storage.RENDITIONS, key=key, file=ContentFile(chip))
    face = Face.objects.create(
        **{
            "photo": photo,
            "person": person,
            "version": "1.cccc",
            "left": 0.25,
            "top": 0.125,
            "right": 0.5,
            "bottom": 0.375,
            "landmarks": [[0.3, 0.2], [0.4, 0.2], [0.35, 0.25], [0.3, 0.3], [0.4, 0.3]],
            "confidence": 0.99,
            "quality": 0.5,
            "chip_key": key,
            "chip_width": 160,
            "chip_height": 160,
            "chip_box": [40, 40, 120, 120],
            "chip_landmarks": [[60, 70], [100, 70], [80, 90], [65, 105], [95, 105]],
            **values,
        }
    )
    if face.person_decided:
        decide(face)
    if is_counted:
        shown.refresh(photo_ids=[photo.pk])
    return face


def make_tag(library: Library, name: str, *photos: Photo) -> Tag:
    """Make a tag that somebody put on photos."""
    [tag] = tags.find_or_make(library_id=library.pk, names=[name])
    tags.put_on(photo_ids=[photo.pk for photo in photos], tags=[tag])
    shown.refresh(photo_ids=[photo.pk for photo in photos])
    return tag


def make_run(photo: Photo, stage: str = "exif", state: str = RunState.DONE, **values: Any) -> StageRun:
    """Make a run in a state, with what the database wants of that state."""
    now = timezone.now()
    wanted: dict[str, Any] = {
        RunState.WAITING: {},
        RunState.PENDING: {"queued_at": now},
        RunState.RUNNING: {"lease_token": UUID(int=1), "lease_until": now, "started_at": now},
        RunState.DONE: {"finished_at": now},
        RunState.SKIPPED: {"finished_at": now, "skip_reason": "no_faces"},
        RunState.DEAD: {"finished_at": now, "error_code": "damaged"},
    }[RunState(state)]
    return StageRun.objects.create(photo=photo, stage=stage, state=state, **{"version": "v1", **wanted, **values})
