"""A group that opens, to staff, the pages of the admin which their roles narrow to their libraries.

Made once: what an operator takes out of it stays out, and one that is renamed or deleted does not come back.
"""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

NAME = "Library staff"
PERMISSIONS = {
    "photos.photo": ("view", "change", "delete"),
    "photos.person": ("view", "change"),
    "photos.face": ("view", "change"),
    "accounts.library": ("view", "change"),
    "accounts.membership": ("view", "add", "change", "delete"),
    "accounts.consentrecord": ("view",),
    "accounts.user": ("view",),
    # where a member is given one
    "accounts.role": ("view",),
    "accounts.invitation": ("view", "add", "change"),
    "accounts.auditevent": ("view",),
    "accounts.erasurereceipt": ("view",),
    "gallery.share": ("view", "change"),
    "processing.stagerun": ("view", "change"),
    "processing.libraryrun": ("view", "change"),
}


def make_group(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    alias = schema_editor.connection.alias
    group, is_new = apps.get_model("auth", "Group").objects.using(alias).get_or_create(name=NAME)
    if not is_new:
        return  # an operator's own
    types = apps.get_model("contenttypes", "ContentType").objects.using(alias)
    permissions = apps.get_model("auth", "Permission").objects.using(alias)
    for label, actions in PERMISSIONS.items():
        app, model = label.split(".")
        # in a new database Django makes these when all migrations are done, and takes those that it finds
        of_model, _ = types.get_or_create(app_label=app, model=model)
        shown = apps.get_model(app, model)._meta.verbose_name_raw
        for action in actions:
            named = {"name": f"Can {action} {shown}"}
            found, _ = permissions.get_or_create(
                content_type=of_model, codename=f"{action}_{model}", defaults=named
            )
            group.permissions.add(found)


class Migration(migrations.Migration):
    dependencies = [
        ("gallery", "0001_shares"),
        ("processing", "0003_returns_and_sweeps"),
        ("photos", "0004_usage_counters"),
        ("accounts", "0011_second_factor"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    # the group is the operator's from now on
    operations = [migrations.RunPython(make_group, migrations.RunPython.noop)]
