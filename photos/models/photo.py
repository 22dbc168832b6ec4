from typing import Self

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models import F, Func, Q
from django.db.models.functions import Coalesce, Sign
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

from accounts.models import Library, User
from accounts.roles import Permission

# what a text search reads, in the order of the database's function that weighs it
WORDS = (
    "title",
    "tag_names",
    "caption",
    "country",
    "region",
    "city",
    "camera_make",
    "camera_model",
    "lens",
    "original_filename",
)


class AllWords(Func):
    """The words of a photo with those of its people, as they are indexed together."""

    template = "(%(expressions)s)"
    arg_joiner = " || "
    output_field = SearchVectorField()

    def __init__(self) -> None:
        super().__init__("words", "people_words")

    def deconstruct(self) -> tuple[str, list[object], dict[str, object]]:
        """Say how a migration makes it."""
        return "photos.models.photo.AllWords", [], {}


# a byte
SAMPLES = 256
# of the upright picture: 1 for a landscape, -1 for a portrait, 0 for a square
SHAPE = Sign(F("width") - F("height"))


def _search_index(name: str, *fields: str, **conditions: object) -> models.Index:
    """Index what is searched: of photos that are not in the trash."""
    return models.Index(fields=fields, name=f"photo_{name}", condition=Q(trashed_at__isnull=True, **conditions))


# Each filter has one that finds the few, and each order one that is walked where a filter keeps many. Measured by
# `make search-times`.
SEARCH_INDEXES = (
    # walked where a filter keeps many, or few that lie far back; what filters ask most is read from it, and no row is
    models.Index(
        fields=["id"],
        include=["library", "is_hidden", "taken_at", "taken_on", "uploaded_at", "dated_at", "rating", "sample"],
        name="photo_page",
        condition=Q(trashed_at__isnull=True),
    ),
    _search_index("uploaded", "uploaded_at", "id"),
    _search_index("dated", "-dated_at", "-id"),
    _search_index("library_dated", "library", "-dated_at", "-id"),
    _search_index("taken", "taken_at", "id"),
    _search_index("camera", "camera_make", "camera_model", "id"),
    _search_index("camera_model", "camera_model", "id"),
    _search_index("lens", "lens", "id"),
    _search_index("aperture", "aperture"),
    _search_index("iso", "iso"),
    _search_index("focal_length", "focal_length"),
    _search_index("exposure_time", "exposure_time"),
    # the timeline and the map read these and no photo: with who may see it, and the id that the map shows
    models.Index(
        fields=["library", "taken_on"], include=["is_hidden"], name="photo_day", condition=Q(trashed_at__isnull=True)
    ),
    models.Index(
        fields=["latitude", "longitude"],
        include=["id", "library", "is_hidden"],
        name="photo_position",
        condition=Q(trashed_at__isnull=True, latitude__isnull=False),
    ),
    _search_index("place", "country_code", "region", "city"),
    models.Index(
        Coalesce("rating", 0).desc(), F("id").desc(), name="photo_rating", condition=Q(trashed_at__isnull=True)
    ),
    _search_index("face_count", "face_count", "id"),
    _search_index("media_type", "mime_type", "id"),
    models.Index(SHAPE, F("id"), name="photo_shape", condition=Q(trashed_at__isnull=True)),
    _search_index("sample", "sample"),
    _search_index("hidden", "library", is_hidden=True),
    GinIndex(fields=["place_keys"], name="photo_place_keys"),
    GinIndex(fields=["words"], name="photo_words"),
    GinIndex(AllWords(), name="photo_all_words"),
)


class PhotoQuerySet(models.QuerySet["Photo"]):
    """Reads of photos; every one that serves a user starts with `visible_to`."""

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """Photos that `user` may see: the one visibility rule. Those in the trash are not among them.

        Nor are those of a library that is being erased: nobody is let into it. A hidden one is for those who may hide.
        """
        if user.is_authenticated and user.runs_installation:
            # the few that are left out, not the many that are let in: no join over all photos. Asked for first: of a
            # subquery the planner would think that it leaves out every other photo
            going = Library.objects.filter(erasure_requested_at__isnull=False).values_list("pk", flat=True)
            return self.present().exclude(library__in=list(going))
        return self.present().filter(not_hidden_from(user), library__in=Library.objects.visible_to(user))

    def in_trash_of(self, user: User | AnonymousUser) -> Self:
        """Photos in the trash of the libraries in which `user` may bring them back, and see them then."""
        libraries = Library.objects.permitting(user, Permission.TRASH_PHOTOS) & Library.objects.visible_to(user)
        return self.filter(not_hidden_from(user), trashed_at__isnull=False, library__in=libraries)

    def present(self) -> Self:
        """Photos that are not in the trash."""
        return self.filter(trashed_at__isnull=True)


def not_hidden_from(user: User | AnonymousUser, photo: str = "") -> Q:
    """Tell photos that nobody has hidden from `user`. `photo` is the way to them in a query of something else."""
    libraries = Library.objects.permitting(user, Permission.MODERATE_PHOTOS)
    return Q(**{f"{photo}is_hidden": False}) | Q(**{f"{photo}library__in": libraries})


class PhotoManager(models.Manager.from_queryset(PhotoQuerySet)):  # type: ignore[misc]
    """Leaves out what is there to be searched and not to be read."""

    def get_queryset(self) -> PhotoQuerySet:
        """Give all photos."""
        return super().get_queryset().defer("words", "people_words")


class Photo(models.Model):
    """An uploaded image. Its original is immutable and lies under a key that is never used twice.

    From `title` to `people_names` the columns are what is shown and what photos are found by. They are reckoned by
    `photos.services.shown` from what people said (`corrections`), from what the file says (Metadata), and from place,
    tags and faces: never write them elsewhere. Positions are WGS 84 degrees. `taken_on` is the day on the camera's
    clock; `dated_at` orders those with a time and those without.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    library = models.ForeignKey(Library, on_delete=models.PROTECT, related_name="photos")
    uploader = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="uploaded_photos",
    )
    original_filename = models.CharField(_("file name"), max_length=255, blank=True)
    sha256 = models.CharField(_("SHA-256"), max_length=64, editable=False)
    byte_size = models.BigIntegerField(_("size in bytes"), editable=False)
    image_format = models.CharField(_("format"), max_length=8, editable=False)
    mime_type = models.CharField(_("media type"), max_length=64, editable=False)
    width = models.PositiveIntegerField(_("width, upright, in pixels"), editable=False)
    height = models.PositiveIntegerField(_("height, upright, in pixels"), editable=False)
    storage_alias = models.CharField(max_length=32, editable=False)
    # in a source it is a path, with the photo's id before it
    storage_key = models.CharField(max_length=1100, editable=False)
    thumbhash = models.BinaryField(null=True, editable=False)
    perceptual_hash = models.BigIntegerField(null=True, editable=False)
    uploaded_at = models.DateTimeField(_("uploaded"), default=timezone.now, editable=False)
    trashed_at = models.DateTimeField(_("moved to the trash"), null=True, editable=False)
    is_hidden = models.BooleanField(_("hidden from visitors"), default=False, db_default=False, editable=False)
    # {field: value}: what people said where the file is wrong or silent; null says that there is none
    corrections = models.JSONField(default=dict, db_default={}, blank=True, editable=False)

    title = models.CharField(_("title"), max_length=1000, blank=True, db_default="", editable=False)
    caption = models.TextField(_("caption"), blank=True, db_default="", editable=False)
    rating = models.SmallIntegerField(_("rating"), null=True, editable=False)
    taken_at = models.DateTimeField(_("taken"), null=True, editable=False)
    taken_at_offset = models.SmallIntegerField(_("offset from UTC in minutes"), null=True, editable=False)
    taken_on = models.DateField(_("day"), null=True, editable=False)
    latitude = models.FloatField(_("latitude"), null=True, editable=False)
    longitude = models.FloatField(_("longitude"), null=True, editable=False)
    country_code = models.CharField(_("country's code"), max_length=2, blank=True, db_default="", editable=False)
    country = models.CharField(_("country"), max_length=128, blank=True, db_default="", editable=False)
    region = models.CharField(_("region"), max_length=128, blank=True, db_default="", editable=False)
    city = models.CharField(_("city"), max_length=128, blank=True, db_default="", editable=False)
    # the four above, folded: any of them finds the photo
    place_keys = ArrayField(models.CharField(max_length=128), default=list, db_default=[], editable=False)
    camera_make = models.CharField(_("camera make"), max_length=128, blank=True, db_default="", editable=False)
    camera_model = models.CharField(_("camera model"), max_length=128, blank=True, db_default="", editable=False)
    lens = models.CharField(_("lens"), max_length=128, blank=True, db_default="", editable=False)
    aperture = models.FloatField(_("f-number"), null=True, editable=False)
    iso = models.PositiveIntegerField(_("ISO"), null=True, editable=False)
    focal_length = models.FloatField(_("focal length in mm"), null=True, editable=False)
    exposure_time = models.FloatField(_("exposure in seconds"), null=True, editable=False)
    face_count = models.PositiveIntegerField(_("faces"), db_default=0, default=0, editable=False)
    tag_names = models.TextField(blank=True, db_default="", editable=False)
    people_names = models.TextField(blank=True, db_default="", editable=False)
    dated_at = models.GeneratedField(
        expression=Coalesce("taken_at", "uploaded_at"), output_field=models.DateTimeField(), db_persist=True
    )
    # which of the SAMPLES parts of all photos it is in, by random bits of its key
    sample = models.GeneratedField(
        expression=Func("id", template="get_byte(uuid_send(%(expressions)s), 15)"),
        output_field=models.SmallIntegerField(),
        db_persist=True,
    )
    words = models.GeneratedField(
        expression=Func(*WORDS, function="photos_words"), output_field=SearchVectorField(), db_persist=True
    )
    # apart: not everybody who sees the photos may see who is on them
    people_words = models.GeneratedField(
        expression=Func("people_names", function="photos_people_words"),
        output_field=SearchVectorField(),
        db_persist=True,
    )

    objects = PhotoManager()

    class Meta:
        verbose_name = _("photo")
        verbose_name_plural = _("photos")
        constraints = [
            # the same bytes are one photo of a library, also when two uploads race
            models.UniqueConstraint(fields=["library", "sha256"], name="photo_library_sha256_unique"),
            # two photos never share an object: deleting one may not take the other's bytes
            models.UniqueConstraint(fields=["storage_alias", "storage_key"], name="photo_storage_key_unique"),
            models.CheckConstraint(condition=Q(sha256__regex="^[0-9a-f]{64}$"), name="photo_sha256_is_hex"),
            # an empty file is refused at the door
            models.CheckConstraint(condition=Q(byte_size__gt=0), name="photo_byte_size_positive"),
            models.CheckConstraint(condition=Q(width__gt=0, height__gt=0), name="photo_dimensions_positive"),
            # -1 is XMP's word for "rejected"
            models.CheckConstraint(
                condition=Q(rating__isnull=True) | Q(rating__range=(-1, 5)), name="photo_rating_range"
            ),
            # half a position is none
            models.CheckConstraint(
                condition=Q(latitude__isnull=True, longitude__isnull=True)
                | Q(
                    latitude__isnull=False,
                    longitude__isnull=False,
                    latitude__range=(-90, 90),
                    longitude__range=(-180, 180),
                ),
                name="photo_position_on_earth",
            ),
        ]
        indexes = [
            # a library's photos, newest first: UUIDv7 keys are ordered by time
            models.Index(fields=["library", "-id"], name="photo_library_newest"),
            models.Index(fields=["trashed_at"], name="photo_trashed", condition=Q(trashed_at__isnull=False)),
            *SEARCH_INDEXES,
        ]

    def __str__(self) -> str:
        return f"{self.original_filename or 'photo'} ({self.id})"
