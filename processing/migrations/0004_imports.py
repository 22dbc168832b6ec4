
import django.db.models.deletion
import django.db.models.functions.datetime
import uuid_utils.compat
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0013_imports'),
        ('photos', '0007_imports'),
        ('processing', '0003_returns_and_sweeps'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Import',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('source', models.CharField(max_length=24, verbose_name='source')),
                ('path', models.CharField(blank=True, max_length=1000, verbose_name='path')),
                ('mode', models.CharField(choices=[('copy', 'copied'), ('reference', 'referenced where they are')], default='copy', max_length=9, verbose_name='originals')),
                ('is_dry_run', models.BooleanField(default=False, verbose_name='counts alone')),
                ('verify', models.BooleanField(default=False, verbose_name='reads unchanged files too')),
                ('state', models.CharField(choices=[('running', 'running'), ('paused', 'paused'), ('finished', 'finished'), ('failed', 'failed'), ('cancelled', 'cancelled')], default='running', max_length=9, verbose_name='state')),
                ('pause_code', models.CharField(blank=True, max_length=64, verbose_name='reason of the pause')),
                ('phase', models.CharField(choices=[('counting', 'counting files'), ('taking', 'taking files in'), ('comparing', 'looking for what is missing'), ('done', 'done')], default='counting', max_length=9, verbose_name='phase')),
                ('cursor', models.TextField(blank=True, editable=False)),
                ('token', models.UUIDField(editable=False, null=True)),
                ('total_files', models.PositiveBigIntegerField(blank=True, null=True, verbose_name='files')),
                ('total_bytes', models.PositiveBigIntegerField(blank=True, null=True, verbose_name='bytes')),
                ('counts', models.JSONField(blank=True, default=dict, verbose_name='counts')),
                ('seconds', models.FloatField(default=0, verbose_name='seconds of work')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name='started')),
                ('finished_at', models.DateTimeField(editable=False, null=True, verbose_name='ended')),
                ('library', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='imports', to='accounts.library', verbose_name='library')),
                ('requested_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='imports', to=settings.AUTH_USER_MODEL, verbose_name='started by')),
            ],
            options={
                'verbose_name': 'import',
                'verbose_name_plural': 'imports',
            },
        ),
        migrations.CreateModel(
            name='ImportedFile',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('source', models.CharField(max_length=24, verbose_name='source')),
                ('path', models.CharField(max_length=1000, verbose_name='path')),
                ('size', models.BigIntegerField(default=0, verbose_name='size in bytes')),
                ('stamp', models.CharField(blank=True, max_length=128)),
                ('sha256', models.CharField(blank=True, max_length=64, verbose_name='SHA-256')),
                ('state', models.CharField(choices=[('added', 'added'), ('duplicate', 'the same bytes were there'), ('unchanged', 'as it was'), ('changed', 'changed, and taken in anew'), ('refused', 'refused'), ('missing', 'missing')], max_length=9, verbose_name='state')),
                ('code', models.CharField(blank=True, max_length=64, verbose_name='error')),
                ('detail', models.CharField(blank=True, max_length=400, verbose_name='error detail')),
                ('previous_photo_id', models.UUIDField(null=True, verbose_name='photo of what it was')),
                ('sidecar', models.CharField(blank=True, max_length=1100, verbose_name='sidecar')),
                ('sidecar_code', models.CharField(blank=True, max_length=64, verbose_name='error of the sidecar')),
                ('seen_at', models.DateTimeField(verbose_name='seen')),
                ('library', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='imported_files', to='accounts.library')),
                ('photo', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='imported_files', to='photos.photo')),
                ('scan', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='files', to='processing.import')),
            ],
            options={
                'verbose_name': 'imported file',
                'verbose_name_plural': 'imported files',
            },
        ),
        migrations.AddIndex(
            model_name='import',
            index=models.Index(fields=['library', '-id'], name='import_library_newest'),
        ),
        migrations.AddConstraint(
            model_name='import',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ('running', 'paused', 'finished', 'cancelled'))), name='import_state_known'),
        ),
        migrations.AddConstraint(
            model_name='import',
            constraint=models.UniqueConstraint(condition=models.Q(('state__in', ('running', 'paused'))), fields=('library', 'source', 'path'), name='import_one_open'),
        ),
        migrations.AddConstraint(
            model_name='import',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('finished_at__isnull', False), ('state__in', ('finished', 'cancelled'))), models.Q(models.Q(('state__in', ('finished', 'cancelled')), _negated=True), ('finished_at__isnull', True)), _connector='OR'), name='import_ended_has_time'),
        ),
        migrations.AddIndex(
            model_name='importedfile',
            index=models.Index(fields=['scan', 'state', '-id'], name='imported_file_scan_state'),
        ),
        migrations.AddConstraint(
            model_name='importedfile',
            constraint=models.UniqueConstraint(fields=('library', 'source', 'path'), name='imported_file_path_unique'),
        ),
        migrations.AddConstraint(
            model_name='importedfile',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('state', 'refused'), models.Q(('code', ''), _negated=True)), models.Q(models.Q(('state', 'refused'), _negated=True), ('code', '')), _connector='OR'), name='imported_file_refused_has_code'),
        ),
    ]
