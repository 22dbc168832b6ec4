"""The group "Library staff" opens the pages of tags, albums, edits, near-duplicates and decisions about people as well.

Where an operator renamed or deleted the group, nothing is done; what they took out of it stays out.
"""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

NAME = "Library staff"
PERMISSIONS = {
    "photos.tag": ("view", "change"),
    "photos.edit": ("view",),
    "photos.duplicategroup": ("view",),
    "photos.duplicatedecision": ("view",),
    "photos.persondecision": ("view",),
    "gallery.album": ("view", "change"),
}


def open_pages(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    alias = schema_editor.connection.alias
    group = apps.get_model("auth", "Group").objects.using(alias).filter(name=NAME).first()
    if group is None:
        return
    types = apps.get_model("contenttypes", "ContentType").objects.using(alias)
    permissions = apps.get_model("auth", "Permission").objects.using(alias)
    for label, actions in PERMISSIONS.items():
        app, model = label.split(".")
        # in a new database Django makes these when all migrations are done, and takes those that it finds
        of_model, _ = types.get_or_create(app_label=app, model=model)
        shown = apps.get_model(app, model)._meta.verbose_name_raw
        for action in actions:
            found, _ = permissions.get_or_create(
                content_type=of_model, codename=f"{action}_{model}", defaults={"name": f"Can {action} {shown}"}
            )
            group.permissions.add(found)


class Migration(migrations.Migration):
    dependencies = [
        ("gallery", "0003_albums"),
        ("photos", "0010_people_decisions"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(open_pages, migrations.RunPython.noop)]
