"""What an operator types: import_photos, models."""

import io
import json
import shutil
from pathlib import Path

import factories
import photo_samples
import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Library
from photos.models import Photo
from processing.engines.installation import InstalledModel
from processing.models import ModelSelection, StageRun
from processing.models.ledger import Lane

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("photo_store")]

IN_THE_BACKGROUND = ["The", "photos", "that", "are", "there", "are", "planned", "in", "the", "background."]


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables are not folded."""
    monkeypatch.setenv("COLUMNS", "200")


def say(*arguments: object) -> list[list[str]]:
    """Run a command; gives the words of each line it writes."""
    output = io.StringIO()
    call_command(*map(str, arguments), stdout=output)
    return [line.split() for line in output.getvalue().splitlines() if line.strip()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "holiday"
    (root / "deep").mkdir(parents=True)
    (root / "a.jpg").write_bytes(photo_samples.picture())
    (root / "deep" / "copy.jpg").write_bytes((root / "a.jpg").read_bytes())
    (root / "deep" / "b.png").write_bytes(photo_samples.picture(image_format="PNG"))
    (root / "deep" / "broken.jpg").write_bytes(b"no picture")
    (root / "notes.txt").write_text("a text")
    (root / "clip.mp4").write_bytes(b"a film")
    return root


def say_refused(*arguments: object, message: str) -> list[list[str]]:
    """Run an import that ends with status 1 and a message; gives the words of each line it writes."""
    output = io.StringIO()
    with pytest.raises(CommandError) as ended:
        call_command("import_photos", *map(str, arguments), stdout=output)
    assert (str(ended.value), ended.value.returncode) == (message, 1)
    return [line.split() for line in output.getvalue().splitlines() if line.strip()]


def test_an_import_says_what_became_of_every_file(folder: Path, library: Library) -> None:
    user = factories.make_user(email="ada@example.org")
    refused = "Refused: 1 of 6 files. The table says why."
    said = say_refused(folder, "--library", library.name, "--user", "Ada@example.org", message=refused)
    table = said[-5:]
    assert table[0] == ["new", "2"]
    assert table[1] == ["duplicate", "1", *["the", "same", "bytes", "are", "in", "the", "library", "already"]]
    assert table[2] == ["refused", "1"]
    assert table[3][:2] == ["deep/broken.jpg:", "unsupported_format:"]
    assert table[4] == ["passed", "over", "2", *["no", "images:", "1", ".mp4,", "1", ".txt"]]
    assert said[-6] == ["6", "files", "below", str(folder)]
    assert set(Photo.objects.values_list("library", "uploader")) == {(library.pk, user.pk)}
    assert set(StageRun.objects.values_list("lane", flat=True)) == {Lane.IMPORT}

    again = say_refused(folder, "--library", library.name, message=refused)
    assert [line[:2] for line in again[-5:-2]] == [["new", "0"], ["duplicate", "3"], ["refused", "1"]]
    assert Photo.objects.count() == 2


def test_duplicates_and_what_is_no_photo_are_no_failure(folder: Path, library: Library) -> None:
    (folder / "deep" / "broken.jpg").unlink()
    for new, duplicates in (("2", "1"), ("0", "3")):
        said = say("import_photos", folder, "--library", library.name)
        assert [line[:2] for line in said[-4:]] == [
            ["new", new], ["duplicate", duplicates], ["refused", "0"], ["passed", "over"],
        ]  # fmt: skip


def test_an_import_that_ends_early_says_why_and_what_became_of_the_rest(folder: Path, library: Library) -> None:
    (folder / "deep" / "broken.jpg").unlink()
    Library.objects.filter(pk=library.pk).update(quota_bytes=10)
    output = io.StringIO()
    with pytest.raises(CommandError) as ended:
        call_command("import_photos", str(folder), "--library", library.name, stdout=output)
    assert str(ended.value).startswith("quota_exceeded: The library may hold 10 bytes")
    assert str(ended.value).endswith("Not taken in: 4 of 5 files.")
    assert "a.jpg: quota_exceeded: The library may hold" in output.getvalue()
    assert Photo.objects.count() == 0

    Library.objects.filter(pk=library.pk).update(quota_bytes=None, erasure_requested_at=timezone.now())
    with pytest.raises(CommandError, match=r"not_found: The library is gone.* Not taken in: 5 of 5"):
        call_command("import_photos", str(folder), "--library", library.name, stdout=output)
    assert "0 files below" in output.getvalue()


def test_one_file_is_imported(folder: Path, library: Library) -> None:
    said = say("import_photos", folder / "a.jpg", "--library", library.name)
    assert ["new", "1"] in said
    refused = "Refused: 1 of 1 file. The table says why."
    said = say_refused(folder / "deep" / "broken.jpg", "--library", library.name, message=refused)
    [refused] = [line for line in said if "unsupported_format:" in line]
    assert refused[0] == f"{folder / 'deep' / 'broken.jpg'}:"
    assert Photo.objects.count() == 1


def test_names_that_are_no_text_are_said_as_far_as_they_are(tmp_path: Path, library: Library) -> None:
    folder = tmp_path / "names"
    folder.mkdir()
    Path(str(folder) + "/caf\udce9.jpg").write_bytes(b"no picture")
    (folder / "[bold]x.jpg").write_bytes(b"no picture")
    refused = pytest.raises(CommandError, match="Refused: 2 of 2 files")
    with (tmp_path / "output").open("w", encoding="utf-8") as output, refused:
        call_command("import_photos", str(folder), "--library", library.name, stdout=output)
    said = (tmp_path / "output").read_text(encoding="utf-8")
    assert "[bold]x.jpg: unsupported_format" in said
    assert "caf\\udce9.jpg: unsupported_format" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{folder}/nowhere", "--library", "{library}"], "There is no file or folder {folder}/nowhere."),
        (["{folder}", "--library", "Elsewhere"], "There is no library named 'Elsewhere'. There are: {library}."),
        (
            ["{folder}", "--library", "{library}", "--user", "nobody@example.org"],
            "There is no user 'nobody@example.org'.",
        ),
    ],
)
def test_an_import_that_cannot_be_says_why(folder: Path, library: Library, arguments: list[str], message: str) -> None:
    names = {"folder": folder, "library": library.name}
    with pytest.raises(CommandError) as refused:
        say("import_photos", *(argument.format(**names) for argument in arguments))
    assert str(refused.value) == message.format(**names)
    assert Photo.objects.count() == 0


# models


def test_models_are_listed(models_in_use: None) -> None:
    said = {line[0]: line for line in say("models", "list")}
    assert said["mtcnn"][:2] == ["mtcnn", "face_detection"]
    [found] = ModelSelection.objects.filter(model="dlib-resnet-v1")
    expected = f"dlib-resnet-v1 face_embedding yes ({found.weights_hash[:8]}) in use dlib's face ResNet"
    assert " ".join(said["dlib-resnet-v1"]).startswith(expected)
    assert "128 dimensions; CC0" in " ".join(said["dlib-resnet-v1"])
    assert said["facenet-vggface2"][:3] == ["facenet-vggface2", "face_embedding", "no"]


def selections() -> set[tuple[str, bool]]:
    return set(ModelSelection.objects.values_list("model", "in_use"))


def test_models_are_used_backfilled_and_dropped(
    face_library: Library, installed_models: dict[str, InstalledModel], settings: Settings, tmp_path: Path
) -> None:
    photo = photo_samples.take_in(face_library, photo_samples.picture())
    # a second embedding model that this host "has": whether it can run is not asked here
    settings.MODELS_DIR = tmp_path / "models"
    settings.MODELS_DIR.mkdir()
    for name in ("mtcnn", "dlib-resnet-v1"):
        shutil.copytree(installed_models[name].folder, settings.MODELS_DIR / name)
    manifest = json.loads((settings.MODELS_DIR / "dlib-resnet-v1" / "manifest.json").read_text())
    shutil.copytree(settings.MODELS_DIR / "dlib-resnet-v1", settings.MODELS_DIR / "facenet-casia")
    changed = {**manifest, "model": "facenet-casia", "weights_hash": "ab" * 32}
    (settings.MODELS_DIR / "facenet-casia" / "manifest.json").write_text(json.dumps(changed))

    assert say("models", "backfill", "facenet-casia") == [
        [
            "facenet-casia",
            "is",
            "being",
            "backfilled;",
            "`manage.py",
            "models",
            "use",
            "facenet-casia`",
            "flips",
            "to",
            "it.",
        ],
        IN_THE_BACKGROUND,
    ]
    assert selections() == {("mtcnn", True), ("dlib-resnet-v1", True), ("facenet-casia", False)}
    assert photo_samples.run_library_work("plan") == 1
    assert photo.stage_runs.filter(stage="face_embedding", state="waiting").count() == 2
    assert say("models", "use", "facenet-casia") == [["facenet-casia", "is", "in", "use."], IN_THE_BACKGROUND]
    with pytest.raises(CommandError, match="facenet-casia is in use: use another model first"):
        say("models", "drop", "facenet-casia")
    assert say("models", "use", "dlib-resnet-v1") == [["dlib-resnet-v1", "is", "in", "use."], IN_THE_BACKGROUND]
    not_run = ["facenet-casia", "is", "not", "run", "any", "more."]
    assert say("models", "drop", "facenet-casia") == [not_run, IN_THE_BACKGROUND]
    assert selections() == {("mtcnn", True), ("dlib-resnet-v1", True)}
    assert photo_samples.run_library_work("plan") == 1
    assert photo.stage_runs.filter(stage="face_embedding", state="waiting").count() == 1


def test_a_model_that_is_not_here_is_not_used(settings: Settings, tmp_path: Path) -> None:
    settings.MODELS_DIR = tmp_path
    for action in ("use", "backfill"):
        with pytest.raises(CommandError) as refused:
            say("models", action, "facenet-vggface2")
        assert str(refused.value) == (
            "facenet-vggface2 is not installed here: run `manage.py models install facenet-vggface2` first."
        )
    with pytest.raises(CommandError, match="invalid choice: 'unknown'"):
        say("models", "use", "unknown")
    assert ModelSelection.objects.count() == 0


def test_a_model_is_installed_once(settings: Settings, tmp_path: Path) -> None:
    settings.MODELS_DIR = tmp_path
    for _ in range(2):
        [line] = say("models", "install", "dlib-resnet-v1")
        assert line[:5] == ["dlib-resnet-v1", "is", "installed", "in", str(tmp_path / "dlib-resnet-v1")]
    assert (tmp_path / "dlib-resnet-v1" / "manifest.json").is_file()
