"""People as they are listed: with counts, and a face that stands for them."""

from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce, JSONObject

from photos.models import Face, Person


def with_faces(people: QuerySet[Person]) -> QuerySet[Person]:
    """Annotate each person with `face_count`, `photo_count` and `cover`.

    Kept faces count, on photos that are not in the trash. `cover` is the best of them as {"id", "chip_key"}, or None.
    Subqueries, so that a page of people costs what its own people cost.
    """
    faces = Face.objects.kept().filter(person=OuterRef("pk"), photo__trashed_at__isnull=True).order_by()
    counts = faces.values("person").annotate(faces=Count("pk"), photos=Count("photo", distinct=True))
    best = faces.order_by("-quality", "-confidence", "pk")
    return people.annotate(
        face_count=Coalesce(Subquery(counts.values("faces")), 0),
        photo_count=Coalesce(Subquery(counts.values("photos")), 0),
        cover=Subquery(best.values(face=JSONObject(id="pk", chip_key="chip_key"))[:1]),
    )
