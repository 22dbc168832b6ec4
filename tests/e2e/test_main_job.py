"""The main job, end to end: real server, real workers, real photos, and the database is asked what came of it.

The tests of this module share one installation and run in the order in which they stand.
"""

import io
import json
import re
import signal
import time
from pathlib import Path

import psutil
import pytest
import requests
from darkroom_process import PASSWORD, STOP_TIMEOUT_SECONDS, Installation
from event_streams import Stream
from PIL import Image
from real_photos import REAL_PHOTOS

from config import embedded

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

STAGES = {"exif", "place", "renditions", "face_detection", "face_embedding"}
# what nothing here has to do: no image model is in use, and no library asks for it
LATER = {
    *("image_embedding", "people", "regroup_preview", "plan", "edit", "import", "export", "duplicates", "erase_faces"),
    "forget",
}
FACES_OF = """
    SELECT count(*) FROM photos_face face JOIN photos_photo photo ON photo.id = face.photo_id
    WHERE photo.original_filename = %s AND face.confidence >= 0.95 AND face.quality >= 0.10
"""


@pytest.fixture(scope="module")
def client(installation: Installation) -> requests.Session:
    """An HTTP client that is logged in by JWT."""
    session = requests.Session()
    answer = session.post(
        f"{installation.url}/api/v1/auth/token",
        json={"email": "admin@example.com", "password": PASSWORD},
        timeout=10,
    )
    assert answer.status_code == 200, answer.text
    session.headers["Authorization"] = f"Bearer {answer.json()['access']}"
    return session


def test_every_photo_has_one_final_run_per_stage(installation: Installation) -> None:
    photos = installation.query("SELECT count(*) FROM photos_photo")[0][0]
    assert photos > 0
    runs = installation.query(
        "SELECT photo_id, stage, count(*) FROM processing_stagerun WHERE state IN ('done', 'skipped') GROUP BY 1, 2"
    )
    assert {count for _, _, count in runs} == {1}
    assert {stage for _, stage, _ in runs} == STAGES
    assert len(runs) == photos * len(STAGES)
    assert installation.query("SELECT count(*) FROM processing_stagerun")[0][0] == len(runs)
    people = installation.query("SELECT state FROM processing_libraryrun WHERE kind = 'people' AND state <> 'done'")
    assert people == []


def test_the_folder_is_taken_in_whole(installation: Installation, shared_photos: Path) -> None:
    [(photos,)] = installation.query("SELECT count(*) FROM photos_photo")
    assert photos == 119
    states = installation.query("SELECT state, count(*) FROM processing_stagerun GROUP BY 1 ORDER BY 1")
    assert {state for state, _ in states} == {"done", "skipped"}
    printed = " ".join(installation.printed.split())
    assert " new 119 " in printed
    assert " duplicate 4 " in printed
    assert " refused 1 " in printed
    assert "8bit-sRGB.jxl: unsupported_format" in printed
    broken = {path.name for path in (shared_photos / "broken_exif").iterdir()}
    rows = installation.query(
        "SELECT DISTINCT original_filename "
        "FROM processing_stagerun run JOIN photos_photo photo ON photo.id = run.photo_id "
        "WHERE original_filename = ANY(%s) AND jsonb_array_length(warnings) > 0",
        list(broken),
    )
    assert {name for (name,) in rows} == broken


@pytest.mark.parametrize(
    ("name", "faces"),
    [("multiface.jpg", 6), ("two_people.jpg", 2), ("obama_and_biden.jpg", 2), ("kit_with_rose.jpg", 2)],
)
def test_faces_are_found(installation: Installation, shared_photos: Path, name: str, faces: int) -> None:
    assert installation.query(FACES_OF, name) == [(faces,)]


def test_people_are_who_they_are(installation: Installation, shared_photos: Path) -> None:
    who = {}
    for folder in (shared_photos / "people").iterdir():
        for photo in folder.iterdir():
            who[photo.name, photo.stat().st_size] = folder.name
    # the largest face of a portrait is the one that the folder is named for
    rows = installation.query(
        "SELECT DISTINCT ON (photo.id) original_filename, byte_size, person_id FROM photos_face face "
        "JOIN photos_photo photo ON photo.id = face.photo_id WHERE confidence >= 0.95 AND quality >= 0.10 "
        'ORDER BY photo.id, ("right" - "left") * (bottom - top) DESC'
    )
    groups: dict[str, set[object]] = {}
    for name, size, person in rows:
        if (name, size) in who:
            groups.setdefault(who[name, size], set()).add(person)
    counts = {name: sum(1 for label in who.values() if label == name) for name in groups}
    assert set(groups) == set(who.values())
    for name, persons in groups.items():
        assert len(persons) == 1, (name, persons)
        if counts[name] > 1:
            assert None not in persons, name
    named = [person for persons in groups.values() for person in persons if person is not None]
    assert len(named) == len(set(named)), groups


def test_a_photo_goes_through_http(installation: Installation, client: requests.Session) -> None:
    library = client.get(f"{installation.url}/api/v1/libraries", timeout=10).json()["results"][0]["id"]
    content = io.BytesIO()
    Image.linear_gradient("L").resize((640, 480)).convert("RGB").save(content, "JPEG")
    upload = {"data": {"library": library}, "files": {"file": ("gradient.jpg", content.getvalue(), "image/jpeg")}}
    # by the web server's address, which leads to the process of events
    stream = Stream(f"{installation.url}/api/v1/events", headers=dict(client.headers)).wait_until_open()
    assert stream.response.url.startswith(installation.events_url)
    created = client.post(f"{installation.url}/api/v1/photos", **upload, timeout=30)
    assert created.status_code == 201, created.text
    assert client.post(f"{installation.url}/api/v1/photos", **upload, timeout=30).status_code == 200
    url = created.headers["Location"]
    deadline = time.monotonic() + 60
    while (photo := client.get(url, timeout=10).json())["state"] != "ready":
        assert time.monotonic() < deadline, photo
        time.sleep(0.2)
    assert {stage["stage"]: stage["state"] for stage in photo["stages"]} == {
        "exif": "done",
        "place": "skipped",
        "renditions": "done",
        "face_detection": "done",
        "face_embedding": "skipped",
    }
    stream.wait_for(lambda one: "photo.ready" in one.kinds)
    told = [one for one in stream.heard if one.said.get("photo") == photo["id"]]
    assert [one.kind for one in told] == ["photo.added", *2 * ["photo.progress"], "photo.ready"]
    assert {one.said["library"] for one in told} == {library}
    # what is skipped with the stage before it is done with it: the place with EXIF, the vectors with the faces
    first = {"exif": 2, "renditions": 1}[told[1].said["stage"]]
    assert [one.said.get("done") for one in told] == [None, first, 3, 5]
    assert {one.said["stage"] for one in told[1:3]} == {"exif", "renditions"}
    assert told[3].said["total"] == 5
    preview = next(rendition for rendition in photo["renditions"] if rendition["kind"] == "preview")
    image = client.get(preview["url"], timeout=10)
    assert image.headers["Content-Type"] == "image/jpeg"
    assert Image.open(io.BytesIO(image.content)).size == (640, 480)
    original = client.get(f"{url}/original", timeout=10)
    assert original.content == content.getvalue()
    assert original.headers["Content-Disposition"].startswith("attachment")


def test_the_ways_to_look_are_there(installation: Installation, client: requests.Session) -> None:
    assert f"events    {installation.events_url}/api/v1/events" in installation.printed
    assert requests.get(f"{installation.events_url}/live", timeout=10).status_code == 200
    for path in ("/live", "/ready", "/health", "/health/db", "/health/ai", "/api/docs", "/api/schema", "/admin/login/"):
        assert requests.get(installation.url + path, timeout=10).status_code == 200, path
    assert requests.get(f"{installation.url}/api/v1/photos", timeout=10).status_code == 401
    assert requests.get(f"{installation.url}/metrics", timeout=10).status_code in {401, 403, 404}
    summary = client.get(f"{installation.url}/api/v1/processing/summary", timeout=10).json()
    assert {work["name"] for work in summary["work"]} == STAGES | LATER


def test_no_log_line_tells_a_secret_a_place_or_a_face(installation: Installation, client: requests.Session) -> None:
    wrong = "a password that somebody mistyped"
    token = f"{installation.url}/api/v1/auth/token"
    answer = requests.post(token, json={"email": "admin@example.com", "password": wrong}, timeout=10)
    assert answer.status_code == 401
    pair = requests.post(token, json={"email": "admin@example.com", "password": PASSWORD}, timeout=10).json()
    for forged in (f"{pair['access']}x", pair["refresh"]):
        headers = {"Authorization": f"Bearer {forged}"}
        assert requests.get(f"{installation.url}/api/v1/auth/me", headers=headers, timeout=10).status_code == 401
    secret = [
        PASSWORD,
        wrong,
        *pair.values(),
        client.headers["Authorization"].removeprefix("Bearer "),
        *json.loads((installation.var_dir / "secrets.json").read_text()).values(),
        *(one for (one,) in installation.query("SELECT password FROM accounts_user")),
    ]
    places = installation.query("SELECT latitude, longitude FROM photos_metadata WHERE latitude IS NOT NULL")
    vectors = installation.query("SELECT vector::text FROM photos_faceembedding")
    # without the real photos there are those of a first run: one of them shows a face
    assert len(places) >= 5
    assert len(vectors) >= (20 if REAL_PHOTOS.is_dir() else 1)
    # whole degrees are in every log, as seconds
    secret += [f"{abs(degrees):.5f}"[:-1] for place in places for degrees in place if degrees % 1]
    secret += [between.join(vector[1:-1].split(",")[:3]) for (vector,) in vectors for between in (",", ", ", " ")]
    logs = [installation.output, *installation.var_dir.rglob("*.log"), *installation.var_dir.rglob("log/*")]
    written = "\n".join(log.read_text(errors="replace") for log in set(logs) if log.is_file())
    assert {"gunicorn", "celery.app.trace"} <= set(re.findall(r"gunicorn|celery\.app\.trace", written))
    assert [one for one in secret if one in written] == []


def test_ctrl_c_stops_every_process(installation: Installation, client: requests.Session) -> None:
    started = installation.descendants()
    assert len(started) >= 7
    # whoever listens is no reason to wait
    headers = {"Authorization": client.headers["Authorization"]}
    stream = Stream(f"{installation.events_url}/api/v1/events", headers=headers).wait_until_open()
    installation.process.send_signal(signal.SIGINT)
    assert installation.process.wait(timeout=STOP_TIMEOUT_SECONDS) == 0, installation.printed
    assert stream.has_ended.wait(10)
    # one whose parent has ended before it may wait as a zombie for a reaper that this machine lacks
    assert [one for one in started if one.is_running() and one.status() != psutil.STATUS_ZOMBIE] == []
    assert embedded.running(installation.var_dir) is None
