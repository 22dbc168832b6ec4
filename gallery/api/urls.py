"""Addresses below /api/v1/ that are about photos, people and processing, and about the installation."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from gallery.api.administration.dead_letters import DeadLetterViewSet
from gallery.api.administration.stages import StageViewSet
from gallery.api.administration.workers import WorkerViewSet
from gallery.api.albums import AlbumViewSet
from gallery.api.decisions import DecisionViewSet
from gallery.api.duplicates import DuplicateDecisionViewSet, DuplicateViewSet
from gallery.api.edits import EditViewSet
from gallery.api.erasures import ErasureViewSet
from gallery.api.events import EventStreamView, EventTicketView
from gallery.api.exports import ExportLinkViewSet, ExportViewSet
from gallery.api.face_acts import FaceActViewSet
from gallery.api.face_search import FaceSearchViewSet, SimilarFaceViewSet
from gallery.api.faces import FaceViewSet
from gallery.api.imports import ImportViewSet
from gallery.api.libraries import LibrarySwitchViewSet
from gallery.api.people import PersonViewSet
from gallery.api.photo_files import PhotoFileViewSet
from gallery.api.photo_similar import SimilarPhotoViewSet
from gallery.api.photos import PhotoViewSet
from gallery.api.processing import ProcessingViewSet
from gallery.api.regrouping import LibraryRegroupingViewSet
from gallery.api.shares import ShareViewSet
from gallery.api.tags import TagViewSet
from gallery.api.uploads.views import UploadViewSet

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("photos", PhotoViewSet, basename="photo")
router.register("photos", PhotoFileViewSet, basename="photo-file")
router.register("albums", AlbumViewSet, basename="album")
router.register("tags", TagViewSet, basename="tag")
router.register("edits", EditViewSet, basename="edit")
router.register("photos", SimilarPhotoViewSet, basename="photo-similar")
router.register("photos/duplicates", DuplicateViewSet, basename="duplicate")
router.register("photos/duplicates/decisions", DuplicateDecisionViewSet, basename="duplicate-decision")
router.register("uploads", UploadViewSet, basename="upload")
router.register("faces", FaceViewSet, basename="face")
router.register("faces", SimilarFaceViewSet, basename="face-similar")
router.register("search", FaceSearchViewSet, basename="search")
router.register("faces", FaceActViewSet, basename="face-act")
router.register("people", PersonViewSet, basename="person")
router.register("decisions", DecisionViewSet, basename="decision")
router.register("shares", ShareViewSet, basename="share")
router.register("erasures", ErasureViewSet, basename="erasure")
router.register("imports", ImportViewSet, basename="import")
router.register("exports", ExportViewSet, basename="export")
router.register("exports/files", ExportLinkViewSet, basename="export-link")
router.register("libraries", LibrarySwitchViewSet, basename="library-switch")
router.register("libraries", LibraryRegroupingViewSet, basename="library-regrouping")
router.register("processing", ProcessingViewSet, basename="processing")
router.register("admin/dlq", DeadLetterViewSet, basename="admin-dlq")
router.register("admin/stages", StageViewSet, basename="admin-stage")
router.register("admin/workers", WorkerViewSet, basename="admin-worker")

urlpatterns = [
    path("events", EventStreamView.as_view(), name="events"),
    path("events/tickets", EventTicketView.as_view(), name="events-tickets"),
    *router.urls,
]
