import django.db.models.deletion
from django.db import migrations, models
from oauth2_provider.settings import oauth2_settings


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        migrations.swappable_dependency(oauth2_settings.APPLICATION_MODEL),
        ('twofa', '0021_scopes'),
    ]

    operations = [
        migrations.CreateModel(
            name='StorefrontApplication',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('scopes', models.JSONField(blank=True, db_default=[], default=list, help_text='None named: all.', verbose_name='scopes')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created at')),
                ('application', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='twofa_link', to=oauth2_settings.APPLICATION_MODEL, verbose_name='application')),
                ('storefront', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='twofa.storefront', verbose_name='storefront')),
            ],
            options={
                'verbose_name': 'application of a storefront',
                'verbose_name_plural': 'applications of storefronts',
                'ordering': ('-pk',),
            },
        ),
    ]
