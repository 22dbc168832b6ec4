"""Deleting photos for good is a permission of its own, which of the built-in roles the admin alone has."""

import django.contrib.postgres.fields
from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

PURGE = "photos.purge"


def give_to_admins(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    for role in apps.get_model("accounts", "Role").objects.filter(name="admin", is_built_in=True):
        if PURGE not in role.permissions:
            role.permissions = [*role.permissions, PURGE]
            role.save(update_fields=["permissions"])


def take_from_all(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    # a role of the installation's own may have it too, and the older release does not know what it is
    for role in apps.get_model("accounts", "Role").objects.filter(permissions__contains=[PURGE]):
        role.permissions = [permission for permission in role.permissions if permission != PURGE]
        role.save(update_fields=["permissions"])


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0002_built_in_roles'),
    ]

    operations = [
        migrations.AlterField(
            model_name='role',
            name='permissions',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.CharField(choices=[('photos.view', 'see photos, their metadata and renditions'), ('originals.download', 'download originals'), ('photos.upload', 'upload photos'), ('photos.edit', 'change what is said about photos'), ('photos.trash', 'move photos to the trash and back'), ('photos.purge', 'delete photos for good'), ('photos.moderate', 'hide photos from visitors'), ('people.view', 'see people and faces'), ('people.edit', 'name people and correct their faces'), ('processing.view', 'see stage runs and their errors'), ('processing.retry', 'retry dead stage runs'), ('face_analysis.switch', 'switch face analysis on and off'), ('members.manage', 'invite, change and remove members'), ('library.edit', "change the library's name and settings")], max_length=64), blank=True, default=list, size=None),
        ),
        migrations.RunPython(give_to_admins, take_from_all),
    ]
