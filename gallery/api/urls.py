"""Addresses below /api/v1/ that are about photos, people and processing, and about the installation."""

from rest_framework.routers import SimpleRouter

from gallery.api.administration.dead_letters import DeadLetterViewSet
from gallery.api.administration.stages import StageViewSet
from gallery.api.administration.workers import WorkerViewSet
from gallery.api.decisions import DecisionViewSet
from gallery.api.erasures import ErasureViewSet
from gallery.api.face_acts import FaceActViewSet
from gallery.api.faces import FaceViewSet
from gallery.api.libraries import LibrarySwitchViewSet
from gallery.api.people import PersonViewSet
from gallery.api.photo_files import PhotoFileViewSet
from gallery.api.photos import PhotoViewSet
from gallery.api.processing import ProcessingViewSet
from gallery.api.regrouping import LibraryRegroupingViewSet
from gallery.api.shares import ShareViewSet

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("photos", PhotoViewSet, basename="photo")
router.register("photos", PhotoFileViewSet, basename="photo-file")
router.register("faces", FaceViewSet, basename="face")
router.register("faces", FaceActViewSet, basename="face-act")
router.register("people", PersonViewSet, basename="person")
router.register("decisions", DecisionViewSet, basename="decision")
router.register("shares", ShareViewSet, basename="share")
router.register("erasures", ErasureViewSet, basename="erasure")
router.register("libraries", LibrarySwitchViewSet, basename="library-switch")
router.register("libraries", LibraryRegroupingViewSet, basename="library-regrouping")
router.register("processing", ProcessingViewSet, basename="processing")
router.register("admin/dlq", DeadLetterViewSet, basename="admin-dlq")
router.register("admin/stages", StageViewSet, basename="admin-stage")
router.register("admin/workers", WorkerViewSet, basename="admin-worker")

urlpatterns = router.urls
