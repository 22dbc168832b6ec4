"""Wrong: photos that are shown and found by something else than what was said of them."""

import factories
import photo_samples
import proving
import pytest

from accounts.models import Library
from photos.models import Photo
from photos.services import shown, tags

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("photo_store", "quick_ripening")]


def test_what_was_written_by_hand_is_named_and_reckoned_anew(library: Library) -> None:
    sound, altered = (photo_samples.take_in(library, photo_samples.picture()) for _ in range(2))
    photo_samples.run_everything()
    [tag] = tags.find_or_make(library_id=library.pk, names=["sea"])
    tags.put_on(photo_ids=[sound.pk, altered.pk], tags=[tag])
    shown.refresh(photo_ids=[sound.pk, altered.pk])
    Photo.objects.filter(pk=altered.pk).update(tag_names="", title="by hand", face_count=9)

    said = proving.prove()

    assert (said.status, said.counts) == (1, {**proving.NOTHING, "wrong": 1})
    assert said.offences == {("shown_differs", str(altered.pk))}

    said = proving.prove("--repair", "--yes")

    assert said.body["repair"] == {
        "plan": ["reckon anew what is shown of 1 photo"], "done": ["1 photo shown by what their sources say"]
    }  # fmt: skip
    altered.refresh_from_db()
    assert (altered.tag_names, altered.title, altered.face_count) == ("sea", "", 0)
    assert proving.prove().counts == proving.NOTHING


def test_a_photo_of_another_library_is_not_looked_at(library: Library) -> None:
    photo = factories.make_photo(factories.make_library(), title="by hand")
    assert ("shown_differs", str(photo.pk)) not in proving.prove("--library", library.name).offences
