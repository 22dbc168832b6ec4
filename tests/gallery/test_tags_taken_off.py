"""A tag that was taken off one photo and is worn by others is shown of those alone."""

import factories
import pytest
from django.test import Client

from photos.models import Photo, PhotoTag
from photos.services import shown, tags

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("photo_store")]


def test_it_is_not_among_the_photos_tags_nor_in_its_sidecar() -> None:
    library = factories.make_library()
    client: Client = factories.client_of(factories.make_member(library, "editor"))
    off, worn = (factories.make_photo(library, data=factories.image_bytes()) for _ in range(2))
    sea, sky = tags.find_or_make(library_id=library.pk, names=["sea", "sky"])
    tags.put_on(photo_ids=[off.pk, worn.pk], tags=[sea, sky])
    PhotoTag.objects.update(from_file=True)
    tags.take_off(photo_ids=[off.pk], tags=[sea])
    shown.refresh(photo_ids=[off.pk, worn.pk])

    def named(photo: Photo) -> list[str]:
        return [one["name"] for one in client.get(f"/api/v1/photos/{photo.pk}").json()["tags"]]

    def sidecar(photo: Photo) -> str:
        return client.get(f"/api/v1/photos/{photo.pk}/original", {"metadata": "xmp"}).content.decode()

    assert (named(off), named(worn)) == (["sky"], ["sea", "sky"])
    assert ("sea" in sidecar(off), "sky" in sidecar(off), "sea" in sidecar(worn)) == (False, True, True)
