"""What is true of a photo. No Celery and no HTTP here."""

from photos.models.decision import DecisionKind, FaceLink, LinkKind, PersonDecision
from photos.models.embedding import FaceEmbedding, GroupLoss
from photos.models.face import Face, is_kept
from photos.models.face_suppression import FaceSuppression
from photos.models.metadata import Metadata
from photos.models.object_sweep import ObjectSweep
from photos.models.person import Person
from photos.models.photo import Photo
from photos.models.regrouping import LibraryThreshold, Regrouping, RegroupingMove
from photos.models.rendition import Rendition

__all__ = [
    "DecisionKind",
    "Face",
    "FaceEmbedding",
    "FaceLink",
    "FaceSuppression",
    "GroupLoss",
    "LibraryThreshold",
    "LinkKind",
    "Metadata",
    "ObjectSweep",
    "Person",
    "PersonDecision",
    "Photo",
    "Regrouping",
    "RegroupingMove",
    "Rendition",
    "is_kept",
]
