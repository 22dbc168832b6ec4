"""Sharing photos by a link is a permission of its own, which of the built-in roles the admin and the editor have."""

import django.contrib.postgres.fields
from django.db import migrations, models

from accounts.migrations._permissions import new_permission

class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0008_token_families_and_invitations'),
    ]

    operations = [
        migrations.AlterField(
            model_name='apikey',
            name='scopes',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.CharField(choices=[('photos.view', 'see photos, their metadata and renditions'), ('originals.download', 'download originals'), ('photos.upload', 'upload photos'), ('photos.edit', 'change what is said about photos'), ('photos.trash', 'move photos to the trash and back'), ('photos.purge', 'delete photos for good'), ('photos.moderate', 'hide photos from visitors'), ('photos.share', 'share photos by a link'), ('people.view', 'see people and faces'), ('people.edit', 'name people and correct their faces'), ('processing.view', 'see stage runs and their errors'), ('processing.retry', 'retry dead stage runs'), ('face_analysis.switch', 'switch face analysis on and off'), ('members.manage', 'invite, change and remove members'), ('audit.view', 'see who did what in the library'), ('library.edit', "change the library's name and settings")], max_length=64), size=None),
        ),
        migrations.AlterField(
            model_name='auditevent',
            name='action',
            field=models.CharField(choices=[('login.succeeded', 'logged in'), ('login.failed', 'failed to log in'), ('login.locked', 'was locked out'), ('token.reused', 'used a token again that was rotated'), ('token.revoked', 'logged out'), ('password.changed', 'changed the password'), ('user.invited', 'invited somebody'), ('invitation.revoked', 'revoked an invitation'), ('user.joined', 'accepted an invitation'), ('user.deactivated', 'deactivated an account'), ('user.reactivated', 'reactivated an account'), ('key.created', 'made an API key'), ('key.revoked', 'revoked an API key'), ('role.created', 'made a role'), ('role.changed', 'changed a role'), ('role.deleted', 'deleted a role'), ('member.added', 'added a member'), ('member.changed', "changed a member's role"), ('member.removed', 'removed a member'), ('share.created', 'shared photos'), ('share.changed', 'changed a share'), ('share.revoked', 'revoked a share'), ('person.exported', 'exported what is held on a person'), ('face_analysis.switched', 'switched face analysis'), ('erased', 'had something erased'), ('original.downloaded', 'downloaded an original'), ('admin.changed', 'changed something in the admin')], max_length=32, verbose_name='action'),
        ),
        migrations.AlterField(
            model_name='role',
            name='permissions',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.CharField(choices=[('photos.view', 'see photos, their metadata and renditions'), ('originals.download', 'download originals'), ('photos.upload', 'upload photos'), ('photos.edit', 'change what is said about photos'), ('photos.trash', 'move photos to the trash and back'), ('photos.purge', 'delete photos for good'), ('photos.moderate', 'hide photos from visitors'), ('photos.share', 'share photos by a link'), ('people.view', 'see people and faces'), ('people.edit', 'name people and correct their faces'), ('processing.view', 'see stage runs and their errors'), ('processing.retry', 'retry dead stage runs'), ('face_analysis.switch', 'switch face analysis on and off'), ('members.manage', 'invite, change and remove members'), ('audit.view', 'see who did what in the library'), ('library.edit', "change the library's name and settings")], max_length=64), blank=True, default=list, size=None),
        ),
        new_permission('photos.share', roles=('admin', 'editor')),
    ]
