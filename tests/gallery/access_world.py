"""Two libraries with one of everything, and everybody who may knock at the first of them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count

import factories
from allauth.socialaccount.models import SocialAccount
from dead_letter_rows import dead_library_run
from django.apps import apps
from django.db import connection
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.api.access import Access, Doing, InPerson, Public, RunsInstallation, Seeing, Somewhere
from accounts.models import AuditAction, AuditEvent, ErasureKind, ErasureReceipt, Library, User
from accounts.roles import BUILT_IN_ROLES, Permission
from accounts.services import api_keys, audit
from gallery.services import albums, shares
from photos.models import DuplicateDecision, DuplicateGroup, DuplicateMember, Export, FaceEmbedding, Regrouping
from photos.services import duplicates, fingerprints, people
from processing.importing.counts import complete
from processing.models import (
    Import,
    ImportedFile,
    ModelSelection,
    RunState,
    Upload,
    UploadWay,
    WorkerPresence,
)
from processing.services import photo_edits

EVERYTHING = frozenset(Permission.values)
APPS = ("accounts", "photos", "processing", "gallery", "auth", "admin", "token_blacklist", "socialaccount")
FACE_MODEL = "dlib-resnet-v1"
_numbers = count(1)


class Place:
    """A library with one of everything."""

    def __init__(self) -> None:
        number = next(_numbers)
        self.library: Library = factories.make_library(name=f"Archive {number}")
        self.photo = factories.make_photo(self.library, data=b"original", original_filename=f"holiday-{number}.jpg")
        factories.make_rendition(self.photo, "preview", data=b"picture")
        self.perceptual_hash = number
        fingerprints.note(photo_id=self.photo.pk, perceptual_hash=number)
        factories.make_metadata(self.photo, camera_make=f"Camera maker {number}", latitude=1.5, longitude=2.5)
        self.tag = factories.make_tag(self.library, f"Tag {number} of it", self.photo)
        # nearly the same, so the two are a group, and were said to be none
        self.copy = factories.make_photo(self.library, original_filename=f"copy-{number}.jpg")
        fingerprints.note(photo_id=self.copy.pk, perceptual_hash=number)
        while duplicates.group_next(library_id=self.library.pk, model=None, limit=10):
            pass
        self.group = DuplicateGroup.objects.get(library=self.library)
        self.trashed = factories.make_photo(self.library, data=b"trashed", trashed_at=timezone.now())
        factories.make_rendition(self.trashed, "preview", data=b"picture")
        self.fingerprint = f"{number:016x}"
        self.run = factories.make_run(self.photo, "exif", RunState.DEAD, fingerprint=self.fingerprint)
        self.library_run = dead_library_run(self.library)
        self.person = factories.make_person(self.library, name=f"Ada {number}")
        self.face = factories.make_face(self.photo, person=self.person, chip=b"chip")
        FaceEmbedding.objects.create(
            face=self.face,
            library=self.library,
            model=FACE_MODEL,
            version="1",
            dimensions=128,
            vector=[number, *[0] * 127],
        )
        factories.make_face(self.photo, person=self.person)
        self.other_person = factories.make_person(self.library)
        self.regrouping = Regrouping.objects.create(
            library=self.library, model="dlib-resnet-v1", threshold=0.5, computed_at=timezone.now(), basis="x",
            report={"refused": "why"},
        )  # fmt: skip
        self.decision = people.rename_person(person=self.person, name=f"Ada Lovelace {number}")
        self.person.refresh_from_db()
        self.admin: User = factories.make_member(self.library, "admin")
        self.member: User = factories.make_member(self.library, "visitor")
        [self.edit] = photo_edits.edit_photos(
            photos=[(self.library.pk, self.photo.pk)], said={"title": f"Said {number}"}, by=self.admin
        )
        self.album = albums.create_album(library=self.library, by=self.admin, values={"title": f"Album {number} of it"})
        albums.add_photos(album=self.album, by=self.admin, photo_ids=[self.photo.pk])
        self.key = api_keys.create(owner=self.admin, name="camera", scopes=["photos.view"]).key
        self.linked = SocialAccount.objects.create(
            user=self.admin, provider=f"https://issuer-{number}.example.org", uid=f"somebody-{number}"
        )
        self.invitation = factories.make_invitation(self.library)
        self.share, _ = shares.create_share(
            by=self.admin, photo_ids=[self.photo.pk], options={"title": f"Title {number}"}
        )
        self.upload = Upload.objects.create(
            library=self.library,
            owner=self.admin,
            way=UploadWay.TUS,
            filename=f"unfinished-{number}.jpg",
            length=1000,
            expires_at=timezone.now() + timedelta(hours=1),
        )
        self.receipt = ErasureReceipt.objects.create(
            kind=ErasureKind.PERSON, subject_id=self.library.pk, library_id=self.library.pk
        )
        self.imported = Import.objects.create(
            library=self.library, source="camera", path=f"card-{number}", counts=complete({}), requested_by=self.admin
        )
        self.file = ImportedFile.objects.create(
            library=self.library, source="camera", path=f"card-{number}/1.jpg", state="added", scan=self.imported,
            photo=self.photo, seen_at=timezone.now(),
        )  # fmt: skip
        self.export = Export.objects.create(
            library=self.library, requested_by=self.admin, content="originals", metadata="none",
            photo_ids=[self.photo.pk], photo_count=1,
        )  # fmt: skip
        self.duplicate_decision = DuplicateDecision.objects.create(library=self.library, decided_by=self.admin)
        audit.record(action=AuditAction.ERASED, library_id=self.library.pk, subject=self.photo)
        self.event = AuditEvent.objects.get(library_id=self.library.pk, action=AuditAction.ERASED)

    def add_more(self) -> None:
        """Add one more of everything that is listed, seen by the same people: what lists cost is counted with it."""
        number = next(_numbers)
        for trashed_at in (None, timezone.now()):
            photo = factories.make_photo(self.library, trashed_at=trashed_at)
            factories.make_rendition(photo, "preview")
            factories.make_metadata(photo, taken_at=datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=number))
            factories.make_tag(self.library, f"more {number}", photo)
            factories.make_run(photo, "exif", RunState.DEAD, fingerprint=f"{number:016x}")
            # of somebody more, and one more of who is there
            for person in (factories.make_person(self.library), self.person):
                factories.make_face(photo, person=person)
        photo_edits.edit_photos(
            photos=[(self.library.pk, self.photo.pk)], said={"title": f"More {number}"}, by=self.admin
        )
        albums.create_album(library=self.library, by=self.admin, values={"title": f"More {number}"})
        factories.make_face(self.photo, person=self.person)
        factories.make_run(self.photo, "renditions", RunState.DONE, version=f"v{number}")
        factories.Membership.objects.create(library=factories.make_library(), user=self.admin, role=_role("admin"))
        factories.make_member(self.library, "visitor")
        factories.make_invitation(self.library)
        api_keys.create(owner=self.admin, name=f"camera {number}", scopes=["photos.view"])
        SocialAccount.objects.create(user=self.admin, provider=f"https://issuer-{number}.example.org", uid=str(number))
        shares.create_share(by=self.admin, photo_ids=[self.photo.pk], options={})
        subject = factories.make_person(self.library)
        ErasureReceipt.objects.create(kind=ErasureKind.PERSON, subject_id=subject.pk, library_id=self.library.pk)
        audit.record(action=AuditAction.ERASED, library_id=self.library.pk, subject=self.photo)
        factories.Role.objects.create(name=f"role {number}", permissions=["photos.view"])
        self._add_more_of_groups_and_imports(number)
        WorkerPresence.objects.create(name=f"ingest@host{number}", started_at=timezone.now(), seen_at=timezone.now())

    def _add_more_of_groups_and_imports(self, number: int) -> None:
        """Add a group of near-duplicates and a decision of it, another photo like the first one, and an import."""
        alike = [factories.make_photo(self.library) for _ in range(3)]
        for photo, perceptual_hash in zip(alike, (2**40, 2**40, self.perceptual_hash), strict=True):
            fingerprints.note(photo_id=photo.pk, perceptual_hash=perceptual_hash)
        group = DuplicateGroup.objects.create(library=self.library)
        DuplicateMember.objects.bulk_create(DuplicateMember(group=group, photo=photo) for photo in alike[:2])
        decision = DuplicateDecision.objects.create(library=self.library, decided_by=self.admin)
        decision.photos.create(photo=self.photo)
        scan = Import.objects.create(
            library=self.library, source="camera", path=f"more-{number}", counts=complete({}), requested_by=self.admin
        )
        for scanned in (self.imported, scan):
            ImportedFile.objects.create(
                library=self.library, source="camera", path=f"more-{number}/{scanned.pk}.jpg", state="added",
                scan=scanned, photo=alike[0], seen_at=timezone.now(),
            )  # fmt: skip
        people.rename_person(person=self.person, name=f"Ada {number}")
        Export.objects.create(
            library=self.library, requested_by=self.admin, content="preview", metadata="none", photo_ids=[],
            photo_count=0,
        )  # fmt: skip

    def marks(self) -> set[str]:
        """Give what nobody may read who does not see the library."""
        rows = (
            self.library, self.photo, self.trashed, self.run, self.library_run, self.person, self.face, self.member,
            self.key, self.invitation, self.event, self.share, self.receipt, self.tag, self.edit,
            self.album, self.imported, self.file, self.copy, self.group, self.decision, self.upload,
            self.duplicate_decision, self.export,
        )  # fmt: skip
        said = (
            self.library.name, self.photo.original_filename, self.person.name, self.member.email, self.admin.email,
            self.key.prefix, self.invitation.email, self.linked.provider, self.linked.uid,
            self.tag.name, self.album.title, self.imported.path, self.upload.filename,
        )  # fmt: skip
        return {*(str(row.pk) for row in rows), *said, self.photo.metadata.camera_make, self.fingerprint}


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who knocks: what they hold in the library that is asked for, and whether another one is theirs too."""

    name: str
    client: Client
    holds: frozenset[str] = frozenset()
    holds_elsewhere: frozenset[str] = frozenset()
    is_known: bool = True
    is_person: bool = True
    runs_installation: bool = False


class World:
    """The library that is asked for, another one, and who asks."""

    def __init__(self) -> None:
        self.place, self.elsewhere = Place(), Place()
        in_use = {"weights_hash": "ab" * 32, "in_use": True}
        for task, model in (("face_detection", "mtcnn"), ("face_embedding", FACE_MODEL)):
            ModelSelection.objects.get_or_create(task=task, model=model, defaults=in_use)
        self.newcomer = factories.make_user()

    def actors(self, rule: Access, also: tuple[str, ...] = ()) -> list[Actor]:
        """Give everybody; the keys are made for the permissions that a rule, and more than it, asks for."""
        library = self.place.library
        needed = permissions_of(rule)
        both = factories.make_member(library, "admin")
        factories.Membership.objects.create(library=self.elsewhere.library, user=both, role=_role("admin"))
        deactivated = factories.make_member(library, "admin")
        gone = factories.client_of(deactivated)
        User.objects.filter(pk=deactivated.pk).update(is_active=False)
        one_less = EVERYTHING - set(needed[:1])
        # with what a visitor may: a key gives no role that allows more than itself
        enough = _held("visitor") | set(needed) | set(also)
        return [
            Actor("anonymous", APIClient(), is_known=False),
            *(
                Actor(name, factories.client_of(factories.make_member(library, name)), _held(name))
                for name in ("visitor", "editor", "admin")
            ),
            Actor("member of another library", factories.client_of(self.elsewhere.admin), frozenset(), EVERYTHING),
            Actor("deactivated", gone, is_known=False),
            Actor("key without the scope", key_client(both, one_less), one_less, one_less, is_person=False),
            Actor(
                "key of another library",
                key_client(both, EVERYTHING, self.elsewhere.library),
                frozenset(),
                EVERYTHING,
                is_person=False,
            ),
            Actor(
                "key with the scope",
                key_client(both, enough, library),
                enough,
                is_person=False,
            ),
            Actor(
                "key of a superuser",
                key_client(factories.make_user(is_superuser=True), EVERYTHING),
                EVERYTHING,
                EVERYTHING,
                is_person=False,
            ),
            Actor("staff", factories.client_of(factories.make_user(is_staff=True))),
            Actor(
                "superuser",
                factories.client_of(factories.make_user(is_superuser=True)),
                EVERYTHING,
                EVERYTHING,
                runs_installation=True,
            ),
        ]


def key_client(owner: User, scopes: frozenset[str], library: Library | None = None) -> APIClient:
    """Make a client that acts with a key of the owner."""
    made = api_keys.create(owner=owner, name="k", scopes=sorted(scopes), library_id=library and library.pk)
    api_keys.authenticate(text=made.text)  # that it was used is written once a minute, and not in the cells
    client = APIClient()
    client.credentials(HTTP_X_API_KEY=made.text)
    return client


def permissions_of(rule: Access) -> list[str]:
    """Give the permissions that a rule asks for, the decisive one first."""
    if isinstance(rule, Doing):
        return list(dict.fromkeys([rule.permission.value, rule.seeing.value, Permission.VIEW_PHOTOS.value]))
    if isinstance(rule, Seeing | Somewhere):
        return list(dict.fromkeys([rule.permission.value, Permission.VIEW_PHOTOS.value]))
    return []


def expected_status(rule: Access, actor: Actor, *, allowed: int, is_list: bool) -> int:
    """Give the status that a rule means for somebody; `allowed` is that of who may do it."""
    if isinstance(rule, Public):
        return allowed
    if not actor.is_known:
        return 401
    if isinstance(rule, RunsInstallation):
        return allowed if actor.runs_installation else 403
    if isinstance(rule, InPerson):
        return allowed if actor.is_person else 403
    if isinstance(rule, Somewhere):
        return allowed if rule.permission in actor.holds | actor.holds_elsewhere else 403
    if isinstance(rule, Seeing):
        return allowed if is_list or sees(rule, actor) else 404
    if isinstance(rule, Doing):
        if not {rule.seeing, Permission.VIEW_PHOTOS} <= actor.holds:
            return 404
        return allowed if rule.permission in actor.holds else 403
    return allowed


def sees(rule: Access, actor: Actor, *, elsewhere: bool = False) -> bool:
    """Whether somebody may read of the library that is asked for, or of the other one, by a rule."""
    held = actor.holds_elsewhere if elsewhere else actor.holds
    needed = {rule.permission} if isinstance(rule, Seeing | Doing | Somewhere) else {Permission.VIEW_PHOTOS}
    return actor.runs_installation or needed <= held


def digests() -> dict[str, str]:
    """Give a hash of all rows of each table that an operation could change."""
    models = [model for app in APPS for model in apps.get_app_config(app).get_models(include_auto_created=True)]
    one = "SELECT '{0}', md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM \"{0}\" t"
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(one.format(model._meta.db_table) for model in models))
        return dict(cursor.fetchall())


def _held(role: str) -> frozenset[str]:
    return frozenset(str(one) for one in BUILT_IN_ROLES[role])


def _role(name: str) -> object:
    return factories.Role.objects.get(name=name)
