
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0012_idempotency'),
    ]

    operations = [
        migrations.AlterField(
            model_name='auditevent',
            name='action',
            field=models.CharField(choices=[('login.succeeded', 'logged in'), ('login.failed', 'failed to log in'), ('login.locked', 'was locked out'), ('login.unlocked', 'let in somebody who was locked out'), ('token.reused', 'used a token again that was rotated'), ('token.revoked', 'logged out'), ('password.changed', 'changed the password'), ('second_factor.enabled', 'set up a second factor'), ('second_factor.disabled', 'took a second factor away'), ('second_factor.renewed', 'made new recovery codes'), ('second_factor.failed', 'gave a wrong code'), ('social.linked', 'linked an account elsewhere'), ('social.unlinked', 'took an account elsewhere away'), ('user.invited', 'invited somebody'), ('invitation.revoked', 'revoked an invitation'), ('user.joined', 'accepted an invitation'), ('user.changed', 'changed an account'), ('user.deactivated', 'deactivated an account'), ('user.reactivated', 'reactivated an account'), ('key.created', 'made an API key'), ('key.revoked', 'revoked an API key'), ('role.created', 'made a role'), ('role.changed', 'changed a role'), ('role.deleted', 'deleted a role'), ('member.added', 'added a member'), ('member.changed', "changed a member's role"), ('member.removed', 'removed a member'), ('share.created', 'shared photos'), ('share.changed', 'changed a share'), ('share.revoked', 'revoked a share'), ('person.exported', 'exported what is held on a person'), ('face_analysis.switched', 'switched face analysis'), ('photos.restored', 'brought photos back from the trash'), ('photos.purged', 'deleted photos for good'), ('runs.retried', 'let dead or discarded runs start over'), ('runs.discarded', 'gave dead runs up'), ('import.started', 'started an import'), ('import.paused', 'paused an import'), ('import.resumed', 'let an import go on'), ('import.cancelled', 'cancelled an import'), ('erased', 'had something erased'), ('original.downloaded', 'downloaded an original'), ('admin.changed', 'changed something in the admin')], max_length=32, verbose_name='action'),
        ),
    ]
