"""Names and decided faces from before decisions were kept: each becomes one, which groupings obey."""

import factories
import pytest
from django.db import connection
from django.db.migrations.loader import MigrationLoader

from photos.models import Face, FaceLink, PersonDecision
from photos.services import broken_decisions, person_undo

pytestmark = pytest.mark.django_db


def data_of_migration() -> str:
    migration = MigrationLoader(connection).get_migration_by_prefix("photos", "0010")
    [sql] = [one.sql for one in migration.operations if hasattr(one, "sql")]
    # where this connection has run the migration, the function that it makes for itself is there still
    return f"DROP FUNCTION IF EXISTS pg_temp.key(); {sql}"


def test_what_was_decided_before_is_decided() -> None:
    library = factories.make_library()
    ada, nameless = factories.make_person(library, name="Ada"), factories.make_person(library)
    photo = factories.make_photo(library)
    hers = [factories.make_face(photo, person=ada) for _ in range(2)]
    decided, nobody = factories.make_face(photo, person=ada), factories.make_face(photo)
    loose = factories.make_face(photo, person=nameless)
    Face.objects.filter(pk__in=[decided.pk, nobody.pk]).update(person_decided=True)

    with connection.cursor() as cursor:
        cursor.execute(data_of_migration())

    found = set(FaceLink.objects.values_list("face", "kind", "person", "before", "in_force"))
    assert found == {
        *((face.pk, "held", ada.pk, ada.pk, True) for face in hers),
        (decided.pk, "is", ada.pk, ada.pk, True),
        (nobody.pk, "is", None, None, True),
    }
    assert list(broken_decisions.broken()) == []
    assert loose.links.count() == 0
    kinds = set(PersonDecision.objects.values_list("kind", "person", "by"))
    assert kinds == {("name", ada.pk, None), ("move", ada.pk, None), ("move", None, None)}
    # keys of version 7, of now: the lists are in their order
    assert {one.pk.version for one in PersonDecision.objects.all()} == {7}
    named = PersonDecision.objects.get(kind="name")
    assert named.details == {"before": "", "after": "Ada"}
    person_undo.undo(decision=named)
    ada.refresh_from_db()
    assert ada.name == ""
