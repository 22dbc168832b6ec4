"""Full text search in PostgreSQL over what is shown of photos, with the syntax of web searches."""

from django.contrib.auth.models import AnonymousUser
from django.contrib.postgres.search import SearchQueryField, SearchRank
from django.db.models import BooleanField, Exists, F, Func, OuterRef, Q, QuerySet, Value

from accounts.models import Library, User
from photos.models import Photo, libraries_showing_people
from photos.models.photo import AllWords

# of the newest that match: rank looks at each, and nobody reads on after the first few hundred
RANKED_AT_MOST = 500


class WebSearch(Func):
    """What somebody typed, as a query: all words, "a phrase", one or other, -without."""

    function = "websearch_to_tsquery"
    template = "%(function)s('simple', photos_fold(%(expressions)s))"
    output_field = SearchQueryField()

    def __init__(self, words: str) -> None:
        super().__init__(Value(words))


class Matches(Func):
    """Whether words (a tsvector) match a query; the lookup of Django takes none but its own queries."""

    template = "(%(expressions)s)"
    arg_joiner = " @@ "
    output_field = BooleanField()


def matching(photos: QuerySet[Photo], words: str, *, user: User | AnonymousUser) -> QuerySet[Photo]:
    """Keep the photos that match; names of people count only in libraries in which `user` may see people."""
    query, (seeing, not_seeing) = WebSearch(words), _by_sight_of_people(user)
    with_people, without = Q(Matches(AllWords(), query)), Q(Matches(F("words"), query))
    if not not_seeing:
        return photos.filter(with_people)
    if not seeing:
        return photos.filter(without)
    # each half has an index
    return photos.filter(Q(with_people, library__in=seeing) | Q(without, library__in=not_seeing))


def ranked(photos: QuerySet[Photo], words: str, *, user: User | AnonymousUser) -> QuerySet[Photo]:
    """Order matching photos, the best first, of the newest RANKED_AT_MOST; annotates `rank`.

    PostgreSQL's `ts_rank`: a word in the title counts most, then in tags and caption, in the place, in camera and
    file name. `user` may see them; where people are hidden from `user` anywhere, their names lift no photo.
    """
    newest = photos.order_by("-pk").values("pk")[:RANKED_AT_MOST]
    words_of = F("words") if _by_sight_of_people(user)[1] else AllWords()
    rank = SearchRank(words_of, WebSearch(words))
    return Photo.objects.filter(pk__in=newest).annotate(rank=rank).order_by("-rank", "-pk")


def _by_sight_of_people(user: User | AnonymousUser) -> tuple[list[object], list[object]]:
    """Give the libraries that `user` sees: those in which people are shown to them, and the others."""
    seen = Exists(libraries_showing_people(user).filter(pk=OuterRef("pk")))
    rows = list(Library.objects.visible_to(user).annotate(sees_people=seen).values_list("pk", "sees_people"))
    return [pk for pk, sees in rows if sees], [pk for pk, sees in rows if not sees]
