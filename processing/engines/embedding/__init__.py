"""Face embedding: a vector of a face, from its chip."""

from pathlib import Path

from processing.engines import catalogue, installation
from processing.engines.embedding.base import AlignedInput, Embedder
from processing.engines.embedding.dlib_resnet import DlibEmbedder
from processing.engines.embedding.facenet import FacenetEmbedder, OpenVinoNet, TorchNet

__all__ = ["AlignedInput", "Embedder", "load_embedder"]


def load_embedder(name: str, *, models_dir: Path, device: str, threads: int = 1, precision: str = "f32") -> Embedder:
    """Load an installed embedder for a device, `cpu` or `cuda`.

    `precision` is for OpenVINO on a CPU: `f32`, or `bf16` where the CPU has it. Raises ModelNotInstalledError,
    WeightsMismatchError.
    """
    model = installation.require(name, models_dir, device=device)
    dimensions = catalogue.get(name).dimensions
    if name.startswith("dlib-"):
        return DlibEmbedder(model.folder, name=name, dimensions=dimensions)
    if device == "cuda":
        weights = model.folder / catalogue.get(name).files[0].name
        return FacenetEmbedder(TorchNet(weights, device=device), name=name, dimensions=dimensions)
    net = OpenVinoNet(model.folder / "net.xml", threads=threads, precision=precision)
    return FacenetEmbedder(net, name=name, dimensions=dimensions)
