"""What is true of a photo. No Celery and no HTTP here."""

from photos.models.decision import DecisionKind, FaceLink, LinkKind, PersonDecision
from photos.models.duplicates import DecidedPhoto, DuplicateDecision, DuplicateGroup, DuplicateMember
from photos.models.edit import Edit, Revision
from photos.models.embedding import FaceEmbedding, GroupLoss
from photos.models.event import Event, EventKind
from photos.models.export import Export, ExportFile, ExportMetadata, ExportState, WithdrawReason
from photos.models.face import Face, is_kept
from photos.models.face_suppression import FaceSuppression
from photos.models.favourite import Favourite, PhotoViews
from photos.models.fingerprint import PhotoFingerprint
from photos.models.image_embedding import ImageEmbedding
from photos.models.metadata import Metadata
from photos.models.object_sweep import ObjectSweep
from photos.models.person import Person, libraries_showing_people
from photos.models.photo import Photo
from photos.models.place import PhotoPlace
from photos.models.regrouping import LibraryThreshold, Regrouping, RegroupingMove
from photos.models.rendition import Rendition
from photos.models.sidecar import Sidecar
from photos.models.tag import PhotoTag, Tag, TagAlias
from photos.models.text_embedding import TextEmbedding

__all__ = [
    "DecidedPhoto",
    "DecisionKind",
    "DuplicateDecision",
    "DuplicateGroup",
    "DuplicateMember",
    "Edit",
    "Event",
    "EventKind",
    "Export",
    "ExportFile",
    "ExportMetadata",
    "ExportState",
    "Face",
    "FaceEmbedding",
    "FaceLink",
    "FaceSuppression",
    "Favourite",
    "GroupLoss",
    "ImageEmbedding",
    "LibraryThreshold",
    "LinkKind",
    "Metadata",
    "ObjectSweep",
    "Person",
    "PersonDecision",
    "Photo",
    "PhotoFingerprint",
    "PhotoPlace",
    "PhotoTag",
    "PhotoViews",
    "Regrouping",
    "RegroupingMove",
    "Rendition",
    "Revision",
    "Sidecar",
    "Tag",
    "TagAlias",
    "TextEmbedding",
    "WithdrawReason",
    "is_kept",
    "libraries_showing_people",
]
