"""Tags: what files say, what people say, and that neither forgets."""

import factories
import pytest
from django.core.exceptions import ValidationError

from accounts.models import Library
from photos.models import Photo, PhotoTag, Tag
from photos.services import shown, tags

pytestmark = pytest.mark.django_db


@pytest.fixture
def library() -> Library:
    return factories.make_library()


@pytest.fixture
def photo(library: Library) -> Photo:
    return factories.make_photo(library)


def read_file(photo: Photo, *keywords: str) -> None:
    tags.set_keywords(photo_id=photo.pk, library_id=photo.library_id, keywords=keywords)
    shown.refresh(photo_ids=[photo.pk])


def worn(photo: Photo) -> set[str]:
    return set(PhotoTag.objects.worn().filter(photo=photo).values_list("tag__name", flat=True))


def shown_names(photo: Photo) -> str:
    return Photo.objects.values_list("tag_names", flat=True).get(pk=photo.pk)


def test_neither_case_nor_accents_make_another_tag(photo: Photo) -> None:
    read_file(photo, "Été", "ete", " ETE ", "", "a\x00b")

    assert Tag.objects.count() == 2


def test_what_somebody_took_off_stays_off_when_the_file_is_read_again(photo: Photo) -> None:
    read_file(photo, "sea", "sky")
    tags.take_off(photo_ids=[photo.pk], tags=Tag.objects.filter(key="sea"))

    read_file(photo, "sea", "sky")

    assert worn(photo) == {"sky"}


def test_what_somebody_put_on_stays_on_when_the_file_does_not_say_it(photo: Photo) -> None:
    [tag] = tags.find_or_make(library_id=photo.library_id, names=["mine"])
    tags.put_on(photo_ids=[photo.pk], tags=[tag])
    read_file(photo, "mine", "its own")
    read_file(photo)

    assert worn(photo) == {"mine"}
    assert PhotoTag.objects.count() == 1


def test_a_renamed_tag_is_what_files_mean_by_its_old_name(photo: Photo, library: Library) -> None:
    read_file(photo, "beech")
    tags.rename(tag=Tag.objects.get(), name="Beach")
    other = factories.make_photo(library)

    read_file(photo, "beech")
    read_file(other, "BEECH")

    assert (worn(photo), worn(other), shown_names(photo)) == ({"Beach"}, {"Beach"}, "Beach")
    assert Tag.objects.count() == 1
    # a person who says it means what they say
    [beech] = tags.find_or_make(library_id=library.pk, names=["beech"])
    assert (beech.name, Tag.objects.count()) == ("beech", 2)


def test_a_name_that_is_taken_is_refused(photo: Photo) -> None:
    read_file(photo, "sea", "sky")
    sea = Tag.objects.get(key="sea")

    for name, error in (("SKY", tags.TagExistsError), (" ", ValidationError)):
        with pytest.raises(error):
            tags.rename(tag=sea, name=name)

    assert worn(photo) == {"sea", "sky"}
    assert tags.rename(tag=sea, name="Sea").name == "Sea"


def test_merged_tags_are_one_for_photos_and_for_files(library: Library) -> None:
    first, second, off = (factories.make_photo(library) for _ in range(3))
    read_file(first, "sea")
    read_file(second, "ocean", "sea")
    read_file(off, "ocean")
    tags.take_off(photo_ids=[off.pk], tags=Tag.objects.filter(key="ocean"))
    sea, ocean = Tag.objects.get(key="sea"), Tag.objects.get(key="ocean")

    assert tags.merge(tags=[ocean], into=sea) == 2
    for photo in (first, second, off):
        read_file(photo, "ocean")

    assert [worn(photo) for photo in (first, second, off)] == [{"sea"}, {"sea"}, set()]
    assert [shown_names(photo) for photo in (first, second)] == ["sea", "sea"]
    assert list(Tag.objects.all()) == [sea]


def test_tags_of_two_libraries_are_not_merged(photo: Photo) -> None:
    read_file(photo, "sea")
    [foreign] = tags.find_or_make(library_id=factories.make_library().pk, names=["sea"])

    with pytest.raises(tags.ConflictError):
        tags.merge(tags=[foreign], into=Tag.objects.get(library=photo.library))

    assert Tag.objects.count() == 2


def test_a_deleted_tag_is_not_brought_back_by_files_but_by_people(photo: Photo) -> None:
    read_file(photo, "spam")
    assert tags.delete(tag=Tag.objects.get()) == 1
    read_file(photo, "spam")
    assert (worn(photo), shown_names(photo)) == (set(), "")

    [spam] = tags.find_or_make(library_id=photo.library_id, names=["Spam"])
    tags.put_on(photo_ids=[photo.pk], tags=[spam])

    assert worn(photo) == {"spam"}
    assert Tag.objects.count() == 1


def test_a_file_of_thousands_of_keywords_makes_a_hundred_tags(photo: Photo) -> None:
    read_file(photo, *(f"word {number}" for number in range(5000)))

    assert Tag.objects.count() == tags.KEYWORDS_OF_A_FILE
