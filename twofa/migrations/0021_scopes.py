from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('twofa', '0020_logins'),
    ]

    operations = [
        migrations.AddField(
            model_name='storefrontkey',
            name='scopes',
            field=models.JSONField(blank=True, db_default=[], default=list, editable=False, help_text='None named: all.', verbose_name='scopes'),
        ),
    ]
