from django.contrib.postgres.indexes import OpClass
from django.db import models
from django.db.models import F, Func, IntegerField, Q
from django.db.models.functions import Cast
from django.utils.translation import gettext_lazy as _
from pgvector.django import HalfVectorField, HnswIndex
from uuid_utils.compat import uuid7

from accounts.models import Library
from photos.models.face import Face


class FaceEmbedding(models.Model):
    """The vector of one face by one model. Two models can live side by side.

    `component` is the group of mutually reachable faces that the last grouping put it into; none: no grouping has
    read it yet, so one is due.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    face = models.ForeignKey(Face, on_delete=models.CASCADE, related_name="embeddings")
    # repeated from the face's photo: a grouping reads one library's vectors without three joins
    library = models.ForeignKey(Library, on_delete=models.PROTECT, related_name="face_embeddings")
    model = models.CharField(_("model"), max_length=64)
    version = models.CharField(_("version of the stage that made it"), max_length=160)
    dimensions = models.PositiveSmallIntegerField(_("dimensions"))
    # halfvec stays below the TOAST limit at 512 dimensions, vector does not
    vector = HalfVectorField()
    component = models.BigIntegerField(null=True, editable=False)

    class Meta:
        verbose_name = _("face embedding")
        verbose_name_plural = _("face embeddings")
        constraints = [
            # a second one would be a doubled effect
            models.UniqueConstraint(fields=["face", "model"], name="face_embedding_face_model_unique"),
            # the column has no dimension of its own, since models differ
            models.CheckConstraint(
                condition=Q(dimensions=Func(F("vector"), function="vector_dims", output_field=IntegerField())),
                name="face_embedding_dimensions_true",
            ),
        ]
        indexes = [
            models.Index(fields=["library", "model", "component"], name="face_embedding_group"),
            *(
                HnswIndex(
                    OpClass(Cast("vector", HalfVectorField(dimensions=dimensions)), name="halfvec_l2_ops"),
                    name=f"face_embedding_{label}_hnsw",
                    condition=Q(model=model),
                )
                # all of them give unit-length or Euclidean vectors, so one operator class ranks them all
                for model, label, dimensions in (
                    ("dlib-resnet-v1", "dlib", 128),
                    ("facenet-vggface2", "vggface2", 512),
                    ("facenet-casia", "casia", 512),
                )
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model} of face {self.face_id}"


class GroupLoss(models.Model):
    """A component that lost a member since the last grouping; its other faces have to be grouped anew.

    Written in the transaction that removes the face. Rows are only ever added and, once a grouping has read them,
    deleted, so two photos that lose faces of the same component do not wait for each other.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    library = models.ForeignKey(Library, on_delete=models.CASCADE, related_name="group_losses")
    model = models.CharField(max_length=64)
    component = models.BigIntegerField()

    class Meta:
        verbose_name = _("loss of a group")
        verbose_name_plural = _("losses of groups")
        indexes = [models.Index(fields=["library", "model"], name="group_loss_library_model")]

    def __str__(self) -> str:
        return f"component {self.component} of {self.model}"
