from django.db import models
from django.db.models import F, Func, IntegerField, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from pgvector.django import HalfVectorField
from uuid_utils.compat import uuid7


class TextEmbedding(models.Model):
    """The vector of words that were searched for, by one image and text model: asked for again it costs no worker.

    Of the words a hash is kept, and nothing of whoever searched. The oldest of many go.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    words_sha256 = models.CharField(max_length=64)
    model = models.CharField(_("model"), max_length=64)
    weights_hash = models.CharField(_("weights hash"), max_length=64)
    dimensions = models.PositiveSmallIntegerField(_("dimensions"))
    vector = HalfVectorField()
    made_at = models.DateTimeField(_("made"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("text embedding")
        verbose_name_plural = _("text embeddings")
        constraints = [
            models.UniqueConstraint(
                fields=["words_sha256", "model", "weights_hash"], name="text_embedding_words_model_unique"
            ),
            models.CheckConstraint(
                condition=Q(dimensions=Func(F("vector"), function="vector_dims", output_field=IntegerField())),
                name="text_embedding_dimensions_true",
            ),
        ]
        indexes = [models.Index(fields=["made_at"], name="text_embedding_made_at")]

    def __str__(self) -> str:
        return f"words by {self.model}"
