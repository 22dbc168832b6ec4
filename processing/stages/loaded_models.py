"""The models that this process has in memory: loaded at the first use, in the child that uses them."""

from functools import cache

from django.conf import settings

from processing.engines import detection, embedding, image_text, installation


@cache
def device() -> str:
    """Give the device of this host: `cuda` or `cpu`, from the setting or by looking."""
    return installation.resolve_device(settings.DEVICE)


@cache
def detector(name: str) -> detection.Detector:
    """Give the face detector of this name. Raises ModelNotInstalledError, WeightsMismatchError."""
    return detection.load_detector(name, models_dir=settings.MODELS_DIR, device=device())


@cache
def embedder(name: str) -> embedding.Embedder:
    """Give the face embedder of this name. Raises ModelNotInstalledError, WeightsMismatchError."""
    return embedding.load_embedder(name, models_dir=settings.MODELS_DIR, device=device())


@cache
def image_encoder(name: str) -> image_text.ImageEncoder:
    """Give the encoder of pictures of this name. Raises ModelNotInstalledError, WeightsMismatchError."""
    return image_text.load_image_encoder(name, models_dir=settings.MODELS_DIR, device=device())


@cache
def text_encoder(name: str) -> image_text.TextEncoder:
    """Give the encoder of words of this name. Raises ModelNotInstalledError, WeightsMismatchError."""
    return image_text.load_text_encoder(name, models_dir=settings.MODELS_DIR, device=device())
