"""What photos are found by, here and wherever else a filter is stored or sent. Filters combine: all of them hold."""

from typing import Any, ClassVar
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db.models import Exists, OuterRef, Q, QuerySet
from django_filters import rest_framework as filters
from rest_framework.request import Request

from accounts.api.filters import MomentFilter, WholeNumberFilter
from gallery.api.filter_fields import (
    BoxFilter,
    CircleFilter,
    ExposureFilter,
    QuantityFilter,
    RepeatedHashFilter,
    RepeatedTextFilter,
    RepeatedUUIDFilter,
    StrictBooleanFilter,
)
from gallery.models import Album
from gallery.models.album import AlbumKind
from photos.models import Face, Favourite, Person, Photo, PhotoTag, Tag, libraries_showing_people
from photos.models.photo import SHAPE
from photos.search import places, text
from photos.services.tags import key_of
from processing.engines.imaging import MEDIA_TYPES
from processing.states import PhotoState, in_state

WORDS_AT_MOST = 200
ORIENTATIONS = {"landscape": 1, "portrait": -1, "square": 0}


def wants_trash(request: Request) -> bool:
    """Whether a list of photos is to show what lies in the trash; a value that cannot be is the filter's to refuse."""
    return request.query_params.get("trashed") == "true"


def _has_a_word(value: str) -> None:
    if not any(one.isalnum() for one in value):
        raise ValidationError("There is no word in it.", code="invalid")


def _between(least: float, greatest: float) -> dict[str, Any]:
    return {"validators": [MinValueValidator(least), MaxValueValidator(greatest)]}


def _choices(values: Any) -> list[tuple[str, str]]:
    return [(value, value) for value in values]


class ExposureFilters(filters.FilterSet):
    """Narrows photos by camera and by how they were exposed. Edges belong to a range."""

    camera_make = filters.CharFilter(max_length=128, help_text="Exactly, as the camera writes it.")
    camera_model = filters.CharFilter(max_length=128, help_text="Exactly, as the camera writes it.")
    lens = filters.CharFilter(max_length=128, help_text="Exactly, as the camera writes it.")
    aperture_min = QuantityFilter(
        field_name="aperture", lookup_expr="gte", **_between(0, 1000), help_text="F-number: 2.8 is f/2.8."
    )
    aperture_max = QuantityFilter(field_name="aperture", lookup_expr="lte", **_between(0, 1000), help_text="F-number.")
    iso_min = WholeNumberFilter(
        field_name="iso", lookup_expr="gte", **_between(0, 10_000_000), help_text="ISO sensitivity."
    )
    iso_max = WholeNumberFilter(
        field_name="iso", lookup_expr="lte", **_between(0, 10_000_000), help_text="ISO sensitivity."
    )
    focal_length_min = QuantityFilter(
        field_name="focal_length", lookup_expr="gte", **_between(0, 100_000), help_text="In mm, as the lens has it."
    )
    focal_length_max = QuantityFilter(
        field_name="focal_length", lookup_expr="lte", **_between(0, 100_000), help_text="In mm."
    )
    exposure_min = ExposureFilter(
        field_name="exposure_time", lookup_expr="gte", **_between(0, 1_000_000), help_text="Seconds, also as 1/250."
    )
    exposure_max = ExposureFilter(
        field_name="exposure_time", lookup_expr="lte", **_between(0, 1_000_000), help_text="Seconds, also as 1/250."
    )


# photos that a tag is on: so many are found and sorted in some 30 ms, and of more one page is come across soon
FEW_WORN = 20_000
NO_LIMIT = 2**31


class PhotoFilter(ExposureFilters):
    """Narrows photos. Faces, people and their names count only where the caller may see them."""

    q = filters.CharFilter(
        method="filter_words",
        max_length=WORDS_AT_MOST,
        validators=[_has_a_word],
        help_text="Words in title, caption, file name, tags, people, camera and place, as in a web search: all of "
        'them, "a phrase", `or`, `-without`. Neither case nor accents matter.',
    )
    library = filters.UUIDFilter(field_name="library_id", help_text="Of this library.")
    album = filters.UUIDFilter(method="filter_album", help_text="In this album.")
    state = filters.ChoiceFilter(choices=PhotoState.choices, method="filter_state", help_text="In this state.")
    taken_after = MomentFilter(
        field_name="taken_at", lookup_expr="gte", help_text="Taken at this time or later (ISO 8601)."
    )
    taken_before = MomentFilter(field_name="taken_at", lookup_expr="lt", help_text="Taken before this time (ISO 8601).")
    uploaded_after = MomentFilter(
        field_name="uploaded_at", lookup_expr="gte", help_text="Uploaded at this time or later (ISO 8601)."
    )
    uploaded_before = MomentFilter(
        field_name="uploaded_at", lookup_expr="lt", help_text="Uploaded before this time (ISO 8601)."
    )
    bbox = BoxFilter(
        method="filter_box",
        help_text="`west,south,east,north` in degrees; a west that is greater than the east is across the 180th "
        "meridian.",
    )
    near = CircleFilter(method="filter_near", help_text="`lat,lon,km`: taken within so many km of there.")
    has_gps = StrictBooleanFilter(
        field_name="latitude", lookup_expr="isnull", exclude=True, help_text="With or without a position."
    )
    place = filters.CharFilter(
        method="filter_place",
        max_length=128,
        help_text="In this country, region or city; a country also by its code. Neither case nor accents matter.",
    )
    has_faces = StrictBooleanFilter(method="filter_has_faces", help_text="With or without a face.")
    faces_min = WholeNumberFilter(
        method="filter_faces_min", **_between(0, 10_000), help_text="With so many faces, or more."
    )
    faces_max = WholeNumberFilter(
        method="filter_faces_max", **_between(0, 10_000), help_text="With so many faces, or fewer."
    )
    person = RepeatedUUIDFilter(
        method="filter_people", help_text="Showing this person; given several times, all of them in one photo."
    )
    tag = RepeatedTextFilter(
        method="filter_tags", help_text="With the tag of this name; given several times, with all of them."
    )
    rating_min = WholeNumberFilter(
        field_name="rating", lookup_expr="gte", **_between(0, 5), help_text="With so many stars, or more."
    )
    favourite = StrictBooleanFilter(method="filter_favourite", help_text="Among your own favourites, or not.")
    hidden = StrictBooleanFilter(field_name="is_hidden", help_text="Hidden from visitors, or not.")
    media_type = filters.ChoiceFilter(
        field_name="mime_type", choices=_choices(MEDIA_TYPES), help_text="Of this media type."
    )
    orientation = filters.ChoiceFilter(
        choices=_choices(ORIENTATIONS), method="filter_orientation", help_text="Wider than high, higher, or neither."
    )
    sha256 = RepeatedHashFilter(
        help_text="With these bytes: SHA-256 in hex; given several times, up to 40, those that have any of them. So a "
        "client asks what is there before it sends."
    )
    trashed = StrictBooleanFilter(
        method="filter_trashed",
        help_text="What lies in the trash, of the libraries in which you hold `photos.trash`; else what does not.",
    )

    class Meta:
        model = Photo
        fields: ClassVar[list[str]] = []

    def filter_words(self, photos: QuerySet[Photo], _name: str, value: str) -> QuerySet[Photo]:
        """Keep the photos that match."""
        return text.matching(photos, value, user=self.request.user)

    def filter_album(self, photos: QuerySet[Photo], _name: str, value: UUID) -> QuerySet[Photo]:
        """Keep the photos of an album: those put into it, or those that its own filter keeps."""
        album = Album.objects.visible_to(self.request.user).filter(pk=value).first()
        if album is None:
            return photos.none()
        if album.kind == AlbumKind.MANUAL:
            # joined, and not asked for: the album's order is that of the same rows
            return photos.filter(album_photos__album=album)
        from gallery.photo_selection import narrowed

        return narrowed(photos.filter(library=album.library_id), album.filter, request=self.request)

    def filter_state(self, photos: QuerySet[Photo], _name: str, value: str) -> QuerySet[Photo]:
        """Keep the photos in a state."""
        return in_state(photos, value)

    def filter_box(self, photos: QuerySet[Photo], _name: str, value: places.Box) -> QuerySet[Photo]:
        """Keep the photos within the box."""
        return photos.filter(value.holds())

    def filter_near(self, photos: QuerySet[Photo], _name: str, value: places.Circle) -> QuerySet[Photo]:
        """Keep the photos within the circle."""
        return places.within(photos, value)

    def filter_place(self, photos: QuerySet[Photo], _name: str, value: str) -> QuerySet[Photo]:
        """Keep the photos of a place."""
        return photos.filter(place_keys__contains=[places.key(value)])

    def filter_has_faces(self, photos: QuerySet[Photo], _name: str, value: bool) -> QuerySet[Photo]:
        """Keep the photos with a face, or those without."""
        return self.filter_faces_min(photos, "", 1) if value else self.filter_faces_max(photos, "", 0)

    def filter_faces_min(self, photos: QuerySet[Photo], _name: str, value: float) -> QuerySet[Photo]:
        """Keep the photos with so many faces to be seen."""
        if value <= 0:
            return photos
        return photos.filter(face_count__gte=value, library__in=libraries_showing_people(self.request.user))

    def filter_faces_max(self, photos: QuerySet[Photo], _name: str, value: float) -> QuerySet[Photo]:
        """Keep the photos with no more faces to be seen."""
        seen = libraries_showing_people(self.request.user)
        return photos.filter(Q(face_count__lte=value) | ~Q(library__in=seen))

    def filter_people(self, photos: QuerySet[Photo], _name: str, value: list[UUID]) -> QuerySet[Photo]:
        """Keep the photos that show everybody asked for."""
        wanted = set(value)
        # asked for first: within the other query it would keep the planner from starting at the person's few faces
        if Person.objects.visible_to(self.request.user).filter(pk__in=wanted).count() < len(wanted):
            return photos.none()
        for person in wanted:
            photos = photos.filter(Exists(Face.objects.kept().filter(photo=OuterRef("pk"), person=person)))
        return photos

    def filter_tags(self, photos: QuerySet[Photo], _name: str, value: list[str]) -> QuerySet[Photo]:
        """Keep the photos with every tag asked for."""
        known = Tag.objects.visible_to(self.request.user)
        library = self.form.cleaned_data.get("library")
        if library is not None:
            # a tag belongs to one: those of the same name in others would only be looked through
            known = known.filter(library=library)
        for key in {key_of(name) for name in value}:
            # asked for first, as above
            worn = PhotoTag.objects.worn().filter(tag__in=list(known.filter(key=key).values_list("pk", flat=True)))
            if worn[: FEW_WORN + 1].count() <= FEW_WORN:
                # a limit that nothing reaches has the planner begin with them; else it would look for the tag, which
                # has an id in each library, on one photo after the other
                photos = photos.filter(pk__in=worn.values("photo")[:NO_LIMIT])
            else:
                photos = photos.filter(Exists(worn.filter(photo=OuterRef("pk"))))
        return photos

    def filter_favourite(self, photos: QuerySet[Photo], _name: str, value: bool) -> QuerySet[Photo]:
        """Keep the caller's favourites, or the others."""
        own = Exists(Favourite.objects.filter(photo=OuterRef("pk"), user=self.request.user.pk))
        return photos.filter(own if value else ~own)

    def filter_orientation(self, photos: QuerySet[Photo], _name: str, value: str) -> QuerySet[Photo]:
        """Keep the photos of a shape."""
        return photos.annotate(shape=SHAPE).filter(shape=ORIENTATIONS[value])

    def filter_trashed(self, photos: QuerySet[Photo], _name: str, _value: bool) -> QuerySet[Photo]:
        """Keep all: the view has begun with one side of the trash's lid, since who sees what differs."""
        return photos
