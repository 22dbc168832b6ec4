"""A library full of everything for schemathesis to call, whoever asks, and the run of it against a real server."""

import json
import os
import subprocess
import sys
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import factories
from access_world import FACE_MODEL, Place
from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.utils import timezone
from rest_framework_simplejwt.tokens import RefreshToken
from upload_server import serving

from accounts.models import ApiKey, ErasureReceipt, Invitation, Library, Membership, Role, User
from accounts.services import tokens
from config.api_example_values import BY_FIELD
from gallery.models import Album, Share
from photos.models import DuplicateDecision, Edit, Face, FaceEmbedding, Person, PersonDecision, Photo, Tag
from photos.services import people
from processing.models import Import, ImportState, ModelSelection, Upload

SOURCE = "camera"
HERE = Path(__file__).parent
# what is deleted, merged and forgotten on the way is not to run out
ROUNDS = 8
LEAVERS = 100
# sequences of requests are made of one collection's operations at a time: drawn among all of them, hardly any request
# goes on from the answer to another one
COLLECTIONS = (
    "albums", "tags", "shares|keys", "people|faces|decisions", "photos|edits", "libraries|invitations", "imports",
)  # fmt: skip
# of one collection, at most: schemathesis ends where the server's state lets a repeated one end differently
SEQUENCES = 60
PICTURED = 6
INVITATIONS = [f"invitation number {number}" for number in range(30)]
DISPOSABLE = 20
# longer than the run
TOKEN_LIFETIME = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class Result:
    """What a run gave: its exit code, what it printed, its report and what the hooks counted."""

    code: int
    printed: str
    report: dict[str, Any]
    counted: dict[str, Any]

    @property
    def cases(self) -> int:
        """How many requests were made up and sent."""
        return self.report["test_cases"]["generated"]


class SchemaWorld:
    """Two libraries, the admin of each, and accounts and libraries that are there to be ended."""

    def __init__(self) -> None:
        self.ours, self.theirs = Place(), Place()
        for _ in range(ROUNDS):
            self.ours.add_more()
        self.member, self.stranger = self.ours.admin, self.theirs.admin
        # the schema's examples know the password of the others: this one goes on being logged in
        self.member.set_password("of nobody's example")
        self.member.save()
        known: str = BY_FIELD["password"]
        self.known = User.objects.create_user(BY_FIELD["email"], known)
        self.leavers = [User.objects.create_user(f"leaver{number}@example.org", known) for number in range(LEAVERS)]
        self.accounts = [
            SocialAccount.objects.create(user=one, provider="https://issuer.example.org", uid=one.email).pk
            for one in self.leavers
        ]
        for token in INVITATIONS:
            factories.make_invitation(self.theirs.library, token=token)
        in_use = {"weights_hash": "ab" * 32, "in_use": True}
        ModelSelection.objects.create(task="face_embedding", model=FACE_MODEL, **in_use)
        # its place may be read again
        Import.objects.filter(pk=self.ours.imported.pk).update(state=ImportState.FINISHED, finished_at=timezone.now())
        self.operator = factories.make_user(is_superuser=True)
        # made before anybody and anything is gone
        self.tokens = {
            "member": _token(self.member),
            "stranger": _token(self.stranger),
            "operator": _token(self.operator),
            "leaver": [_token(one) for one in self.leavers],
        }
        self.pictured = [self._pictured(number) for number in range(PICTURED)]
        admin = Role.objects.get(name="admin")
        self.disposable: list[Library] = [factories.make_library() for _ in range(DISPOSABLE)]
        for library in self.disposable:
            Membership.objects.create(library=library, user=self.member, role=admin)
        self.things = self._things()
        self.ready = self._ready()

    def given(self, *, url: str, report: Path, is_whole: bool) -> dict[str, Any]:
        """Give what the hooks have to know."""
        marks = self.ours.marks()
        ids = {one for one in marks if len(one) == 36 and one.count("-") == 4}
        return {
            "url": url,
            "report": str(report),
            "is_whole": is_whole,
            "ids": sorted(ids),
            "names": sorted(marks - ids),
            "things": self.things,
            "ready": self.ready,
            "tokens": self.tokens,
            "accounts": self.accounts,
        }

    def _pictured(self, number: int) -> Face:
        """Make a photo whose files are there, and a face with a chip and a vector."""
        photo = factories.make_photo(self.ours.library, data=factories.image_bytes())
        factories.make_rendition(photo, "preview", data=b"picture")
        face = factories.make_face(photo, person=self.ours.person, chip=b"chip")
        FaceEmbedding.objects.create(
            face=face,
            library=self.ours.library,
            model=FACE_MODEL,
            version="1",
            dimensions=128,
            vector=[number, *[1] * 127],
        )
        return face

    def _things(self) -> dict[str, list[str]]:
        """Give keys of what there is, by the name of the collection in the API."""
        library = self.ours.library
        of_library = {"library": library}
        found: dict[str, list[Any]] = {
            "albums": Album.objects.filter(**of_library),
            "decisions": PersonDecision.objects.filter(**of_library),
            "duplicates": DuplicateDecision.objects.filter(**of_library),
            "edits": Edit.objects.filter(**of_library),
            "erasures": ErasureReceipt.objects.filter(library_id=library.pk),
            "faces": Face.objects.filter(photo__library=library),
            "imports": Import.objects.filter(**of_library),
            "invitations": Invitation.objects.filter(**of_library),
            "keys": ApiKey.objects.filter(owner=self.member),
            "people": Person.objects.filter(**of_library),
            "photos": Photo.objects.filter(**of_library, trashed_at=None),
            "trashed": Photo.objects.filter(**of_library, trashed_at__isnull=False),
            "shares": Share.objects.filter(created_by=self.member),
            "tags": Tag.objects.filter(**of_library),
            "uploads": Upload.objects.filter(owner=self.member),
            "users": User.objects.filter(memberships__library=library).exclude(pk=self.member.pk),
        }
        keys = {name: [str(one.pk) for one in rows] for name, rows in found.items()}
        faces = [str(face.pk) for face in self.pictured]
        analysed = [str(self.ours.photo.pk), str(self.ours.copy.pk)]
        keys |= {"rendered": [str(face.photo_id) for face in self.pictured], "chips": faces, "analysed": analysed}
        disposable = [str(one.pk) for one in self.disposable]
        return keys | {"libraries": [str(library.pk)], "disposable": disposable}

    def _ready(self) -> dict[str, list[dict[str, Any]]]:
        """Give requests that succeed, by the operation, where made up ones hardly ever do."""
        ours, api = self.ours, "POST /api/v1"
        library, known = str(ours.library.pk), BY_FIELD["password"]
        things = self.things
        undone = [people.rename_person(person=factories.make_person(ours.library), name="Zoe") for _ in range(3)]
        place = {"library_id": library}
        photos = [str(face.photo_id) for face in self.pictured]
        others = [str(one.pk) for one in Person.objects.filter(library=ours.library) if one != ours.person]
        person = {"id": str(ours.person.pk)}
        moved = {"photos": [str(ours.photo.pk)], "before": None}
        return {
            f"{api}/albums/{{id}}/photos/move": [_request(moved, id=str(ours.album.pk))],
            f"{api}/albums/{{id}}/photos": [_request({"photos": [one]}, id=str(ours.album.pk)) for one in photos[:3]],
            f"{api}/auth/password/change": [_request({"old_password": known, "new_password": "quite another staple"})],
            f"{api}/auth/second-factor": [_request({"password": known})],
            f"{api}/auth/token": [_request({"email": BY_FIELD["email"], "password": known})],
            f"{api}/decisions/{{id}}/undo": [_request(None, id=str(one.pk)) for one in undone],
            f"{api}/edits/{{id}}/undo": [_request(None, id=str(ours.edit.pk))],
            f"{api}/edits/favourites": [_request({"photos": photos, "is_favourite": True})],
            f"{api}/exports": [_request({"photos": photos[:1], "content": "originals"})],
            f"{api}/imports": [_request({"library": library, "source": SOURCE, "path": ""})],
            f"{api}/tags/{{id}}/merge": [_request({"tags": [things["tags"][0]]}, id=str(ours.tag.pk))],
            "DELETE /api/v1/albums/{id}": [_request(None, id=one) for one in things["albums"][-2:]],
            "DELETE /api/v1/auth/me": [_request({"password": known})],
            "DELETE /api/v1/keys/{id}": [_request(None, id=one) for one in things["keys"][-2:]],
            "DELETE /api/v1/libraries/{library_id}/members/{user_id}": [
                _request(None, **place, user_id=one) for one in things["users"][-2:]
            ],
            "DELETE /api/v1/photos/{id}": [_request(None, id=one) for one in things["photos"][10:12]],
            "DELETE /api/v1/tags/{id}": [_request(None, id=one) for one in things["tags"][1:3]],
            "PATCH /api/v1/faces/{id}": [_request({"new_person": {"name": "Zoe"}}, id=str(self.pictured[4].pk))],
            "PATCH /api/v1/libraries/{library_id}/members/{user_id}": [
                _request({"role": "editor"}, **place, user_id=one) for one in things["users"][:2]
            ],
            "PATCH /api/v1/tags/{id}": [_request({"name": "Sky"}, id=str(ours.tag.pk))],
            f"{api}/auth/invitations/accept": [
                _request({"token": token, "name": "Ada", "password": "quite another staple"}) for token in INVITATIONS
            ],
            f"{api}/edits": [_request({"photos": photos, "changes": {"title": title}}) for title in ("Sea", "Sky")],
            f"{api}/libraries/{{id}}/regrouping": [_request({"threshold": 0.5}, id=str(ours.library.pk))],
            f"{api}/imports/{{id}}/rescan": [_request({"verify": False}, id=str(ours.imported.pk))],
            "PATCH /api/v1/people/{id}": [_request({"name": name}, **person) for name in ("Grace", "")],
            f"{api}/people/{{id}}/confirm": [_request({"faces": [str(self.pictured[0].pk)]}, **person)],
            f"{api}/people/{{id}}/merge": [_request({"people": [one]}, **person) for one in others[:3]],
            f"{api}/people/{{id}}/split": [_request({"faces": [str(one.pk)]}, **person) for one in self.pictured[1:4]],
        }

    def configuration(self, *, examples: int) -> str:
        """Give schemathesis' settings. It draws the same each time: by the operation, and of sequences by the seed."""
        library = str(self.ours.library.pk)
        metadata = f"library {b64encode(library.encode()).decode()}"
        return f"""
            hooks = "{HERE / "schema_hooks.py"}"
            continue-on-failure = true
            request-timeout = 30.0
            workers = 1
            cache.enabled = false
            [generation]
            deterministic = true
            max-examples = {examples}
            database = "none"
            no-shrink = true
            [phases.stateful]
            max-steps = 8
            [phases.stateful.generation]
            deterministic = false
            max-examples = {SEQUENCES}
            [dictionaries]
            library.values = ["{library}"]
            metadata.values = ["{metadata}"]
            role.values = ["visitor", "editor"]
            source.values = ["{SOURCE}"]
            stage.values = ["exif", "renditions"]
            rendition.values = ["preview"]
            [parameters]
            "query.library" = {{ dictionary = "library", probability = 0.4 }}
            "body.library" = {{ dictionary = "library", probability = 0.7 }}
            "path.library_id" = {{ dictionary = "library", probability = 0.7 }}
            "body.role" = {{ dictionary = "role", probability = 0.7 }}
            "body.source" = {{ dictionary = "source", probability = 0.7 }}
            "path.name" = {{ dictionary = "stage", probability = 0.7 }}
            "query.stage" = {{ dictionary = "stage", probability = 0.5 }}
            "path.kind" = {{ dictionary = "rendition", probability = 0.8 }}
            "header.Upload-Metadata" = {{ dictionary = "metadata", probability = 0.7 }}
            """

    def run(
        self,
        *,
        environment: dict[str, str],
        folder: Path,
        examples: int,
        sequences: Sequence[str] = (),
        only: Sequence[str] = (),
    ) -> list[Result]:
        """Start the server, have it called in all phases, then in sequences, collection by collection; stop it.

        `only`: schemathesis' arguments that choose operations; then no operation has to have been reached.
        """
        (folder / "schemathesis.toml").write_text(self.configuration(examples=examples))
        # a folder without a file is taken for one that is not mounted
        (folder / SOURCE / self.ours.imported.path).mkdir(parents=True)
        (folder / SOURCE / "1.jpg").write_bytes(factories.image_bytes())
        sources = {"IMPORT_SOURCES": f"{SOURCE}={folder / SOURCE}"}
        with serving(environment | sources, folder / "server.log") as server:
            first = self._call(server.url, folder, "all", arguments=only, is_whole=not only)
            return [
                first,
                *(
                    self._call(
                        server.url,
                        folder,
                        f"sequences-{number}",
                        arguments=("--phases", "stateful", "--include-path-regex", f"^/api/v1/({collections})"),
                    )
                    for number, collections in enumerate(sequences)
                ),
            ]

    def _call(self, url: str, folder: Path, name: str, *, arguments: Sequence[str], is_whole: bool = False) -> Result:
        report, counted, printed = (folder / f"{name}{end}" for end in (".json", ".counted.json", ".txt"))
        given = self.given(url=url, report=counted, is_whole=is_whole)
        with printed.open("w") as output:
            done = subprocess.run(
                [
                    *(sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"),
                    *("--config-file", folder / "schemathesis.toml", "run", f"{url}/api/schema?format=json"),
                    *("--checks", "all", "--report", "json", "--report-json-path", report, "--no-color"),
                    *("--seed", "1", *arguments),
                ],
                cwd=settings.BASE_DIR,
                env=os.environ | {"SCHEMA_CALLS": json.dumps(given), "PYTHONPATH": str(HERE)},
                stdout=output,
                stderr=output,
                check=False,
            )
        assert report.exists(), printed.read_text()
        assert counted.exists(), printed.read_text()
        return Result(
            done.returncode, printed.read_text(), json.loads(report.read_text()), json.loads(counted.read_text())
        )


def _request(body: dict[str, Any] | None, **path: str) -> dict[str, Any]:
    return {"path": path, "body": body}


def _token(user: User) -> str:
    access = RefreshToken(tokens.begin(user=user).refresh).access_token
    access.set_exp(lifetime=TOKEN_LIFETIME)
    return str(access)
