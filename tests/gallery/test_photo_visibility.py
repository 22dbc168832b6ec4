"""Photos of a library that is being erased are shown to nobody, and a superuser's list costs no more for that."""

import factories
import pytest
from django.test import Client
from django.utils import timezone

from gallery.admin.visibility import visible_photos
from photos.models import Photo

pytestmark = pytest.mark.django_db


def test_nobody_sees_photos_of_a_library_that_is_being_erased(client: Client) -> None:
    kept, going = factories.make_library(), factories.make_library(erasure_requested_at=timezone.now())
    shown, in_trash = factories.make_photo(kept), factories.make_photo(kept, trashed_at=timezone.now())
    hidden = [factories.make_photo(going), factories.make_photo(going, trashed_at=timezone.now())]
    chief = factories.make_user(is_staff=True, is_superuser=True)
    for user, seen in ((chief, [shown]), (factories.make_member(going, "admin"), [])):
        assert list(Photo.objects.visible_to(user)) == seen
    assert set(visible_photos(chief)) == {shown, in_trash}
    client.force_login(chief)
    assert list(client.get("/admin/photos/photo/").context["cl"].result_list) == [shown]
    api = factories.client_of(chief)
    assert [one["id"] for one in api.get("/api/v1/photos").json()["results"]] == [str(shown.pk)]
    for photo in hidden:
        assert client.get(f"/admin/photos/photo/{photo.pk}/change/").status_code == 302
        assert api.get(f"/api/v1/photos/{photo.pk}").status_code == 404


def test_a_superusers_photos_are_not_joined_with_libraries() -> None:
    factories.make_photo(factories.make_library())
    newest = Photo.objects.visible_to(factories.make_user(is_superuser=True)).order_by("-pk")[:50]
    plan = newest.explain()
    # the few libraries that are going are asked for before
    assert "SubPlan" not in plan
    assert "Join" not in plan
    assert "Nested Loop" not in plan
