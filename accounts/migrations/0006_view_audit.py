"""Who did what in a library is for its administrators to see."""

import django.contrib.postgres.fields
from django.db import migrations, models

from accounts.migrations._permissions import new_permission


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0005_audit_is_append_only'),
    ]

    operations = [
        migrations.AlterField(
            model_name='apikey',
            name='scopes',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.CharField(choices=[('photos.view', 'see photos, their metadata and renditions'), ('originals.download', 'download originals'), ('photos.upload', 'upload photos'), ('photos.edit', 'change what is said about photos'), ('photos.trash', 'move photos to the trash and back'), ('photos.purge', 'delete photos for good'), ('photos.moderate', 'hide photos from visitors'), ('people.view', 'see people and faces'), ('people.edit', 'name people and correct their faces'), ('processing.view', 'see stage runs and their errors'), ('processing.retry', 'retry dead stage runs'), ('face_analysis.switch', 'switch face analysis on and off'), ('members.manage', 'invite, change and remove members'), ('audit.view', 'see who did what in the library'), ('library.edit', "change the library's name and settings")], max_length=64), size=None),
        ),
        migrations.AlterField(
            model_name='role',
            name='permissions',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.CharField(choices=[('photos.view', 'see photos, their metadata and renditions'), ('originals.download', 'download originals'), ('photos.upload', 'upload photos'), ('photos.edit', 'change what is said about photos'), ('photos.trash', 'move photos to the trash and back'), ('photos.purge', 'delete photos for good'), ('photos.moderate', 'hide photos from visitors'), ('people.view', 'see people and faces'), ('people.edit', 'name people and correct their faces'), ('processing.view', 'see stage runs and their errors'), ('processing.retry', 'retry dead stage runs'), ('face_analysis.switch', 'switch face analysis on and off'), ('members.manage', 'invite, change and remove members'), ('audit.view', 'see who did what in the library'), ('library.edit', "change the library's name and settings")], max_length=64), blank=True, default=list, size=None),
        ),
        new_permission('audit.view', roles=('admin',)),
    ]
