"""Tags: what files say by their keywords, and what people put on and take off, rename, merge and delete."""

import unicodedata
from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

from django.db import connection, transaction

from accounts.problems import ConflictError
from photos.models import EventKind, PhotoTag, Tag, TagAlias
from photos.services import events, shown

NAME_LENGTH = 255
# a file may have thousands; they stay in its metadata, and the library's list of tags is for people
KEYWORDS_OF_A_FILE = 100


class TagExistsError(ConflictError):
    """Another tag of the library has this name."""

    code = "tag_exists"


def clean_name(name: str) -> str:
    """Give a tag's name as it is kept: without what cannot be printed and without spaces in excess."""
    printable = "".join(one if one.isprintable() else " " for one in unicodedata.normalize("NFC", name))
    return " ".join(printable.split())[:NAME_LENGTH].strip()


def key_of(name: str) -> str:
    """Give what makes a name the same as another: neither case nor accents tell tags apart."""
    plain = "".join(one for one in unicodedata.normalize("NFKD", name) if not unicodedata.combining(one))
    return " ".join(plain.casefold().split())[:NAME_LENGTH] or name[:NAME_LENGTH]


def find_or_make(*, library_id: UUID, names: Iterable[str], from_file: bool = False) -> list[Tag]:
    """Give the tags of these names, made where there are none; empty names are none.

    A file's keyword means what the tag is called now, after a rename or a merge, and does not bring back one that was
    deleted; a person who gives the name of old means a new tag, or the deleted one.
    """
    wanted: dict[str, str] = {}
    for clean in filter(None, map(clean_name, names)):
        wanted.setdefault(key_of(clean), clean)
    found = {tag.key: tag for tag in Tag.objects.filter(library_id=library_id, key__in=wanted)}
    aliases = TagAlias.objects.filter(library_id=library_id, key__in=wanted.keys() - found.keys())
    if from_file:
        found |= {alias.key: alias.tag for alias in aliases.select_related("tag")}
    else:
        removed = [tag for tag in found.values() if tag.is_removed]
        Tag.objects.filter(pk__in=[tag.pk for tag in removed]).update(is_removed=False)
        aliases.delete()
    # in the order of the keys: two who make the same tags do not wait for each other in a circle
    missing = sorted(wanted.keys() - found.keys())
    Tag.objects.bulk_create(
        [Tag(library_id=library_id, name=wanted[key], key=key) for key in missing], ignore_conflicts=True
    )
    made = Tag.objects.filter(library_id=library_id, key__in=missing)
    # by their rows, not their names: two keywords may mean one tag by now
    return list({tag.pk: tag for tag in (*found.values(), *made)}.values())


def hold(*, tag_ids: Collection[UUID] = (), worn_by: Collection[UUID] = ()) -> set[UUID]:
    """Keep tags, and those that photos wear, from being renamed, merged or deleted until the transaction ends.

    Gives the keys of those of `tag_ids` that are there and not deleted. Whoever changes tags locks them before their
    photos: so call it before photos are locked, or the two wait for each other.
    """
    with connection.cursor() as cursor:
        cursor.execute(_HOLD, {"tags": list(tag_ids), "photos": list(worn_by)})
        there = {key for key, is_removed in cursor.fetchall() if not is_removed}
    return there & set(tag_ids)


_HOLD = """
    SELECT id, is_removed FROM photos_tag
    WHERE id = ANY(%(tags)s::uuid[]
        || ARRAY(SELECT tag_id FROM photos_phototag WHERE photo_id = ANY(%(photos)s::uuid[])))
    ORDER BY id FOR KEY SHARE
"""


@transaction.atomic
def set_keywords(*, photo_id: UUID, library_id: UUID, keywords: Sequence[str]) -> None:
    """Bring a photo's tags up to its file's keywords; what people put on or took off stays as they said.

    In the transaction that writes the metadata; the caller refreshes what is shown.
    """
    tags = find_or_make(library_id=library_id, names=keywords[:KEYWORDS_OF_A_FILE], from_file=True)
    ids = {tag.pk for tag in tags if not tag.is_removed}
    old = PhotoTag.objects.filter(photo_id=photo_id, from_file=True).exclude(tag__in=ids)
    old.filter(by_person=True).update(from_file=False, is_taken_off=False)
    old.filter(by_person=False).delete()
    PhotoTag.objects.filter(photo_id=photo_id, tag__in=ids).update(from_file=True)
    PhotoTag.objects.bulk_create(
        [PhotoTag(photo_id=photo_id, tag_id=one, from_file=True) for one in sorted(ids)], ignore_conflicts=True
    )


@transaction.atomic
def put_on(*, photo_ids: Collection[UUID], tags: Collection[Tag]) -> None:
    """Put tags on photos of their library; the caller refreshes what is shown."""
    there = PhotoTag.objects.filter(photo__in=photo_ids, tag__in=tags)
    there.update(by_person=True, is_taken_off=False)
    rows = [
        PhotoTag(photo_id=photo_id, tag=tag, by_person=True)
        for photo_id in sorted(photo_ids)
        for tag in sorted(tags, key=lambda tag: tag.pk)
    ]
    PhotoTag.objects.bulk_create(rows, ignore_conflicts=True)


@transaction.atomic
def take_off(*, photo_ids: Collection[UUID], tags: Collection[Tag]) -> None:
    """Take tags off photos, for good: reading the file again does not bring them back. The caller refreshes."""
    there = PhotoTag.objects.filter(photo__in=photo_ids, tag__in=tags)
    there.filter(from_file=False).delete()
    there.filter(from_file=True).update(by_person=False, is_taken_off=True)


@transaction.atomic
def make(*, library_id: UUID, name: str) -> Tag:
    """Make a tag; raises TagExistsError for a name that is taken, ValidationError for an empty one."""
    if Tag.objects.filter(library_id=library_id, key=key_of(clean_name(name)), is_removed=False).exists():
        raise TagExistsError("There is a tag of this name.")
    tag = Tag(library_id=library_id, name=clean_name(name), key=key_of(clean_name(name)))
    tag.full_clean(validate_unique=False, validate_constraints=False)
    [made] = find_or_make(library_id=library_id, names=[name])
    _tell(made)
    return made


@transaction.atomic
def rename(*, tag: Tag, name: str) -> Tag:
    """Give a tag another name; files that say the old one mean it from now on.

    Raises TagExistsError where another tag has the name: merge them then.
    """
    tag = Tag.objects.select_for_update().get(pk=tag.pk)
    old_key, tag.name = tag.key, clean_name(name)
    tag.key = key_of(tag.name)
    tag.full_clean(validate_unique=False, validate_constraints=False)
    if Tag.objects.filter(library_id=tag.library_id, key=tag.key).exclude(pk=tag.pk).exists():
        raise TagExistsError("Another tag has this name. Merge the two, if they mean the same.")
    tag.save(update_fields=["name", "key"])
    if old_key != tag.key:
        TagAlias.objects.filter(library_id=tag.library_id, key=tag.key).delete()
        TagAlias.objects.update_or_create(library_id=tag.library_id, key=old_key, defaults={"tag": tag})
    _refresh_photos_of([tag])
    _tell(tag)
    return tag


@transaction.atomic
def merge(*, tags: Collection[Tag], into: Tag) -> int:
    """Make several tags of a library one; gives how many photos have it afterwards.

    Raises ConflictError for tags of another library. Files that say a merged one mean the remaining one from now on.
    """
    gone = [tag.pk for tag in tags if tag.pk != into.pk]
    locked = list(Tag.objects.select_for_update().filter(pk__in=[*gone, into.pk]).order_by("pk"))
    if any(tag.library_id != into.library_id for tag in locked) or len(locked) != len(gone) + 1:
        raise ConflictError("The tags are not all there, or not of one library.")
    photo_ids = list(PhotoTag.objects.worn().filter(tag__in=gone).values_list("photo", flat=True).distinct())
    with connection.cursor() as cursor:
        cursor.execute(_MOVE, {"into": into.pk, "gone": gone})
    keys = [tag.key for tag in locked if tag.pk != into.pk]
    TagAlias.objects.filter(tag__in=gone).update(tag=into)
    Tag.objects.filter(pk__in=gone).delete()
    TagAlias.objects.bulk_create(TagAlias(library_id=into.library_id, key=key, tag=into) for key in keys)
    shown.refresh(photo_ids=photo_ids)
    _tell(into)
    return PhotoTag.objects.worn().filter(tag=into).count()


# what the rows say goes to the other tag in one statement, however many photos there are: worn beats taken off
_MOVE = """
    INSERT INTO photos_phototag (id, photo_id, tag_id, from_file, by_person, is_taken_off)
    SELECT gen_random_uuid(), photo_id, %(into)s, bool_or(from_file), bool_or(by_person), bool_and(is_taken_off)
    FROM photos_phototag WHERE tag_id = ANY(%(gone)s) GROUP BY photo_id ORDER BY photo_id
    ON CONFLICT (photo_id, tag_id) DO UPDATE SET
        from_file = photos_phototag.from_file OR excluded.from_file,
        by_person = photos_phototag.by_person OR excluded.by_person,
        is_taken_off = photos_phototag.is_taken_off AND excluded.is_taken_off
"""


@transaction.atomic
def delete(*, tag: Tag) -> int:
    """Delete a tag; gives how many photos had it. Files that say it do not bring it back."""
    tag = Tag.objects.select_for_update().get(pk=tag.pk)
    rows = PhotoTag.objects.filter(tag=tag)
    photo_ids = list(rows.worn().values_list("photo", flat=True))
    rows.delete()
    Tag.objects.filter(pk=tag.pk).update(is_removed=True)
    shown.refresh(photo_ids=photo_ids)
    _tell(tag)
    return len(photo_ids)


def _tell(tag: Tag) -> None:
    events.record_change(kind=EventKind.TAGS_CHANGED, library_id=tag.library_id, tag=str(tag.pk))


def _refresh_photos_of(tags: Collection[Tag]) -> None:
    shown.refresh(photo_ids=list(PhotoTag.objects.worn().filter(tag__in=tags).values_list("photo", flat=True)))
