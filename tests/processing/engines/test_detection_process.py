"""What a process that serves the face models on a CPU imports, takes and leaves behind."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from own_process import run_python

MEBIBYTE = 2**20

SERVING = """
import json, pathlib, sys, time
events = []
WATCHED = ("socket.connect", "socket.getaddrinfo", "socket.sendto", "os.fork", "os.posix_spawn", "subprocess.Popen")
sys.addaudithook(lambda event, _: events.append(event) if event in WATCHED else None)
import numpy, psutil
from processing.engines import detection, embedding
models_dir, facenet_dir, pixels = map(pathlib.Path, sys.argv[1:])
image = numpy.load(pixels)
detector = detection.load_detector("mtcnn", models_dir=models_dir, device="cpu")
embedders = [
    embedding.load_embedder("dlib-resnet-v1", models_dir=models_dir, device="cpu"),
    embedding.load_embedder("facenet-vggface2", models_dir=facenet_dir, device="cpu"),
]
def work():
    faces = detector.detect([image])[0]
    inputs = [embedding.AlignedInput(image=image, box=face.box, landmarks=face.landmarks) for face in faces]
    return [embedder.embed(inputs).shape for embedder in embedders]
shapes = work()
wall, cpu = time.perf_counter(), time.process_time()
for _ in range(2):
    work()
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
print(json.dumps({
    "shapes": shapes, "events": events, "torch": "torch" in sys.modules, "cores": cpu / wall,
    "telemetry": sys.modules["openvino_telemetry"] is not None, "memory": psutil.Process().memory_info().rss,
}))
"""

SIZES = """
import json, pathlib, sys
import numpy, psutil
from PIL import Image
from processing.engines import detection
detector = detection.load_detector("mtcnn", models_dir=pathlib.Path(sys.argv[1]), device="cpu")
whole = Image.fromarray(numpy.load(sys.argv[2]))
def memory(sizes):
    for size in sizes:
        detector.detect([numpy.asarray(whole.resize(size))])
    return psutil.Process().memory_info().rss
# the memory of the largest, then what the processor's library keeps of the last thousand layers
before = memory([(480, 480)] * 2 + [(480 - step, 340 + step) for step in range(40)])
print(json.dumps([before, memory([(400 + step, 479 - step) for step in range(60)])]))
"""


@pytest.fixture(scope="module")
def pixels(preview: Callable[[str], np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the pixels of a preview with two faces."""
    path = tmp_path_factory.mktemp("pixels") / "preview.npy"
    np.save(path, preview("groups/kit_with_rose.jpg"))
    return path


@pytest.fixture(scope="module")
def serving(
    models_dir: Path, torch_reference: dict[str, Any], pixels: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What a process says of itself that has found and embedded faces with every kind of model."""
    home = tmp_path_factory.mktemp("home")
    printed = run_python(SERVING, models_dir, torch_reference["folder"] / "models", pixels, HOME=str(home))
    return {"home": sorted(path.name for path in home.iterdir()), **json.loads(printed)}


def test_faces_are_found_and_embedded_without_torch(serving: dict[str, Any]) -> None:
    assert serving["shapes"] == [[2, 128], [2, 512]]
    assert not serving["torch"]


def test_nobody_is_called_and_nothing_is_started(serving: dict[str, Any]) -> None:
    assert serving["events"] == []
    assert not serving["telemetry"]
    assert serving["home"] == []


def test_one_process_takes_one_core(serving: dict[str, Any]) -> None:
    assert serving["cores"] < 1.1


def test_all_models_together_take_less_than_half_a_gibibyte(serving: dict[str, Any]) -> None:
    assert 150 * MEBIBYTE < serving["memory"] < 512 * MEBIBYTE


def test_memory_does_not_grow_with_the_variety_of_image_sizes(models_dir: Path, pixels: Path) -> None:
    before, after = json.loads(run_python(SIZES, models_dir, pixels))
    assert after - before < 24 * MEBIBYTE
