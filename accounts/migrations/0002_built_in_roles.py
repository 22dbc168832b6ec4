"""The three roles that every installation has."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

VISITOR = ["photos.view", "people.view"]
EDITOR = [
    "photos.view",
    "originals.download",
    "photos.upload",
    "photos.edit",
    "photos.trash",
    "photos.moderate",
    "people.view",
    "people.edit",
    "processing.view",
    "processing.retry",
]
ADMIN = [*EDITOR, "face_analysis.switch", "members.manage", "library.edit"]


def create_roles(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    roles = apps.get_model("accounts", "Role").objects
    for name, permissions in (("admin", ADMIN), ("editor", EDITOR), ("visitor", VISITOR)):
        roles.update_or_create(name=name, defaults={"permissions": permissions, "is_built_in": True})


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]

    operations = [migrations.RunPython(create_roles, migrations.RunPython.noop)]
