"""Stage `image_embedding`: a vector of each photo, per selected model, from the preview; what search by words reads."""

from collections.abc import Sequence

import numpy as np
from django.conf import settings

from photos.services import image_embeddings
from processing.engines import imaging
from processing.ledger import Lease
from processing.stages import loaded_models
from processing.stages.base import Loaded, Stage, Written, model_of
from processing.stages.previews import load_preview


class ImageEmbeddingStage(Stage):
    """Reads the preview that we wrote, never an original; replaces the ImageEmbedding row of one model."""

    name = "image_embedding"
    queue = "embeddings"
    needs = "renditions"
    model_task = "image_embedding"

    @property
    def claim_size(self) -> int:
        """A batch for the device."""
        return settings.EMBEDDINGS_BATCH_SIZE

    def load(self, lease: Lease) -> Loaded:
        """Read the preview."""
        return load_preview(lease)

    def compute(self, loaded: Sequence[Loaded], *, version: str) -> list[np.ndarray]:
        """Embed the previews, of which few at a time are decoded; gives float32 (dimensions,) of length 1 per photo."""
        previews = (imaging.decode_rgb(one.data) for one in loaded)
        return list(loaded_models.image_encoder(model_of(version)).encode(previews))

    def write(self, loaded: Loaded, stored: np.ndarray, *, version: str) -> Written:
        """Replace the photo's vector by this model."""
        image_embeddings.replace_embedding(
            photo_id=loaded.photo_id,
            library_id=loaded.library_id,
            model=model_of(version),
            version=version,
            vector=stored,
        )
        return Written()
