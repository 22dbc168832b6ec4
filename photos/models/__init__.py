"""What is true of a photo. No Celery and no HTTP here."""

from photos.models.duplicates import DecidedPhoto, DuplicateDecision, DuplicateGroup, DuplicateMember
from photos.models.embedding import FaceEmbedding, GroupLoss
from photos.models.face import Face, is_kept
from photos.models.face_suppression import FaceSuppression
from photos.models.fingerprint import PhotoFingerprint
from photos.models.image_embedding import ImageEmbedding
from photos.models.metadata import Metadata
from photos.models.object_sweep import ObjectSweep
from photos.models.person import Person
from photos.models.photo import Photo
from photos.models.rendition import Rendition
from photos.models.text_embedding import TextEmbedding

__all__ = [
    "DecidedPhoto",
    "DuplicateDecision",
    "DuplicateGroup",
    "DuplicateMember",
    "Face",
    "FaceEmbedding",
    "FaceSuppression",
    "GroupLoss",
    "ImageEmbedding",
    "Metadata",
    "ObjectSweep",
    "Person",
    "Photo",
    "PhotoFingerprint",
    "Rendition",
    "TextEmbedding",
    "is_kept",
]
