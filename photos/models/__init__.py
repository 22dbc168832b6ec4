"""What is true of a photo. No Celery and no HTTP here."""

from photos.models.edit import Edit, Revision
from photos.models.embedding import FaceEmbedding, GroupLoss
from photos.models.event import Event, EventKind
from photos.models.face import Face, is_kept
from photos.models.face_suppression import FaceSuppression
from photos.models.favourite import Favourite, PhotoViews
from photos.models.metadata import Metadata
from photos.models.object_sweep import ObjectSweep
from photos.models.person import Person, libraries_showing_people
from photos.models.photo import Photo
from photos.models.place import PhotoPlace
from photos.models.rendition import Rendition
from photos.models.sidecar import Sidecar
from photos.models.tag import PhotoTag, Tag, TagAlias

__all__ = [
    "Edit",
    "Event",
    "EventKind",
    "Face",
    "FaceEmbedding",
    "FaceSuppression",
    "Favourite",
    "GroupLoss",
    "Metadata",
    "ObjectSweep",
    "Person",
    "Photo",
    "PhotoPlace",
    "PhotoTag",
    "PhotoViews",
    "Rendition",
    "Revision",
    "Sidecar",
    "Tag",
    "TagAlias",
    "is_kept",
    "libraries_showing_people",
]
