from django.contrib.postgres.indexes import OpClass
from django.db import models
from django.db.models import F, Func, IntegerField, Q
from django.db.models.functions import Cast
from django.utils.translation import gettext_lazy as _
from pgvector.django import HalfVectorField, HnswIndex
from uuid_utils.compat import uuid7

from accounts.models import Library
from photos.models.photo import Photo


class ImageEmbedding(models.Model):
    """The vector of one photo by one image and text model, of length 1. Two models can live side by side."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    photo = models.ForeignKey(Photo, on_delete=models.CASCADE, related_name="image_embeddings")
    # repeated from the photo: a library's vectors are counted and read without it
    library = models.ForeignKey(Library, on_delete=models.PROTECT, related_name="image_embeddings")
    model = models.CharField(_("model"), max_length=64)
    version = models.CharField(_("version of the stage that made it"), max_length=160)
    dimensions = models.PositiveSmallIntegerField(_("dimensions"))
    # as of faces: halfvec stays below the TOAST limit at 768 dimensions, vector does not
    vector = HalfVectorField()

    class Meta:
        verbose_name = _("image embedding")
        verbose_name_plural = _("image embeddings")
        constraints = [
            # a second one would be a doubled effect
            models.UniqueConstraint(fields=["photo", "model"], name="image_embedding_photo_model_unique"),
            # the column has no dimension of its own, since models differ
            models.CheckConstraint(
                condition=Q(dimensions=Func(F("vector"), function="vector_dims", output_field=IntegerField())),
                name="image_embedding_dimensions_true",
            ),
        ]
        indexes = [
            models.Index(fields=["library", "model"], name="image_embedding_library_model"),
            *(
                HnswIndex(
                    OpClass(Cast("vector", HalfVectorField(dimensions=dimensions)), name="halfvec_cosine_ops"),
                    name=f"image_embedding_{label}_hnsw",
                    condition=Q(model=model),
                )
                for model, label, dimensions in (
                    ("clip-vit-b-32-laion2b", "b32_laion", 512),
                    ("clip-vit-b-32-openai", "b32_openai", 512),
                    ("clip-vit-b-16-datacomp", "b16_data", 512),
                    ("clip-vit-l-14-datacomp", "l14_data", 768),
                    ("mobileclip-s1", "mobile_s1", 512),
                    ("mobileclip-s2", "mobile_s2", 512),
                )
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model} of photo {self.photo_id}"
