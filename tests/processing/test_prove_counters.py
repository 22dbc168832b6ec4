"""Wrong: counters of quotas that are not the sum of the photos, found in one look while others upload."""

import io
import threading

import factories
import photo_samples
import proving
import pytest
from concurrency import in_a_thread, wait_until
from pytest_django import DjangoAssertNumQueries

from accounts.models import Library, LibraryUsage, User, UserUsage
from photos.models import Photo
from photos.services import quotas
from processing import ingest
from processing.services import trash

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("photo_store", "quick_ripening")]


def upload(library: Library, uploader: User | None) -> Photo:
    file = io.BytesIO(photo_samples.picture())
    return ingest.take_in(library=library, file=file, filename="a.jpg", uploader=uploader).photo


def counters() -> dict[object, int]:
    return {
        **dict(LibraryUsage.objects.values_list("library", "used_bytes")),
        **dict(UserUsage.objects.values_list("user", "used_bytes")),
    }


def test_a_counter_that_was_altered_is_named_and_counted_again(library: Library) -> None:
    user, other, sound = factories.make_user(), factories.make_user(), factories.make_user()
    photos = [upload(library, one) for one in (user, user, other, sound, None)]
    photo_samples.run_everything()
    sizes = [photo.byte_size for photo in photos]
    right = counters()
    assert proving.prove().counts == proving.NOTHING
    LibraryUsage.objects.update(used_bytes=7)
    UserUsage.objects.filter(user=user).update(used_bytes=sizes[0] + sizes[1] + 1000)
    UserUsage.objects.filter(user=other).delete()
    altered = counters()

    said = proving.prove()

    assert (said.status, said.counts) == (1, {**proving.NOTHING, "wrong": 3})
    assert said.offences == {("counter_wrong", str(one.pk)) for one in (library, user, other)}
    assert {one.get("library") or one["user"]: one["detail"] for one in said.body["findings"]} == {
        str(library.pk): f"7 bytes counted, {sum(sizes):,} there",
        str(user.pk): f"{sizes[0] + sizes[1] + 1000:,} bytes counted, {sizes[0] + sizes[1]:,} there",
        str(other.pk): f"0 bytes counted, {sizes[2]:,} there",
    }
    text = proving.say()[1]
    assert all(line in text for line in (f"library {library.pk}", f"user {user.pk}", f"user {other.pk}"))
    assert counters() == altered

    said = proving.prove("--repair", "--yes")

    assert said.body["repair"] == {"plan": ["count the bytes of 3 quotas again"], "done": ["3 counters set right"]}
    assert counters() == right
    assert proving.prove().counts == proving.NOTHING


def test_one_library_has_its_own_counter_alone(library: Library) -> None:
    user, elsewhere = factories.make_user(), factories.make_library(name="elsewhere")
    upload(library, user)
    upload(elsewhere, user)
    photo_samples.run_everything()
    # a user's photos of one library are not all of them
    assert proving.prove("--library", library.name).counts == proving.NOTHING
    LibraryUsage.objects.update(used_bytes=7)
    UserUsage.objects.update(used_bytes=7)

    assert proving.prove("--library", library.name).offences == {("counter_wrong", str(library.pk))}
    assert len(proving.prove().offences) == 3


def test_what_is_gone_by_now_is_not_counted_again(library: Library) -> None:
    user = factories.make_user()
    ids = {library.pk: "library", user.pk: "user"}
    library.delete()
    user.delete()
    assert [quotas.mend_counter(of=of, subject_id=pk) for pk, of in ids.items()] == [None, None]
    assert counters() == {}


def test_an_upload_meanwhile_is_no_false_alarm(
    library: Library, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    users = [factories.make_user() for _ in range(2)]
    stop, counts, found = threading.Event(), [0, 0], []

    def uploads(number: int) -> None:
        while not stop.is_set():
            photo = upload(library, users[number])
            counts[number] += 1
            if counts[number] % 2 == 0:
                trash.purge(photo_ids=[photo.pk], also_present=True)

    def look() -> bool:
        found.extend(quotas.drifted())
        return min(counts) >= 2

    futures = [in_a_thread(uploads, number) for number in range(2)]
    try:
        wait_until(look, "nobody uploads")
        said = proving.prove("--no-bytes")
    finally:
        stop.set()
        for future in futures:
            future.result(60)
    assert found == []
    assert "counter_wrong" not in {code for code, _ in said.offences}
    # counters and photos as of one moment
    with django_assert_num_queries(1):
        assert quotas.drifted() == []
