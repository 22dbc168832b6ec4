
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('photos', '0006_events'),
    ]

    operations = [
        migrations.CreateModel(
            name='Sidecar',
            fields=[
                ('photo', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='sidecar', serialize=False, to='photos.photo')),
                ('kind', models.CharField(choices=[('xmp', 'XMP'), ('takeout', 'Google Takeout')], max_length=8, verbose_name='kind')),
                ('path', models.CharField(max_length=1100, verbose_name='path')),
                ('sha256', models.CharField(max_length=64, verbose_name='SHA-256')),
                ('values', models.JSONField(verbose_name='values')),
                ('read_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name='read')),
            ],
            options={
                'verbose_name': 'sidecar',
                'verbose_name_plural': 'sidecars',
            },
        ),
        migrations.AlterField(
            model_name='photo',
            name='storage_key',
            field=models.CharField(editable=False, max_length=1100),
        ),
    ]
