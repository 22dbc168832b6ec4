"""Face embedding: a vector of a face, from its chip."""

from pathlib import Path

from processing.engines import catalogue, installation
from processing.engines.embedding.base import AlignedInput, Embedder
from processing.engines.embedding.dlib_resnet import DlibEmbedder
from processing.engines.embedding.facenet import FacenetEmbedder, OpenVinoNet, TorchNet

__all__ = ["AlignedInput", "Embedder", "load_embedder"]


def load_embedder(name: str, *, models_dir: Path, device: str) -> Embedder:
    """Load an installed embedder for a device, `cpu` or `cuda`; dlib's runs on the CPU anyhow.

    Raises ModelNotInstalledError, WeightsMismatchError.
    """
    model = installation.require(name, models_dir, device=device)
    entry = catalogue.get(name)
    if name.startswith("dlib-"):
        return DlibEmbedder(model.folder, name=name, dimensions=entry.dimensions)
    if device == "cuda":
        net = TorchNet(model.folder / entry.files[0].name, device=device)
    else:
        net = OpenVinoNet(model.folder / "net.xml")
    return FacenetEmbedder(net, name=name, dimensions=entry.dimensions)
