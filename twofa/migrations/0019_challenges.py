"""What challenges that stand alone say of themselves, and how many wrong tokens in a row went to a device."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('twofa', '0018_document_hashes'),
    ]

    operations = [
        migrations.AddField(
            model_name='challenge',
            name='description',
            field=models.CharField(blank=True, db_default='', default='', max_length=200, verbose_name='description'),
        ),
        migrations.AddField(
            model_name='challenge',
            name='locale',
            field=models.CharField(blank=True, choices=[('pt-br', 'Portuguese'), ('es', 'Spanish'), ('en', 'English')], db_default='', default='', help_text='Of the message, where nobody is known yet whose language it could be.', max_length=10, verbose_name='language'),
        ),
        migrations.AddField(
            model_name='device',
            name='failures',
            field=models.PositiveSmallIntegerField(db_default=0, default=0, editable=False, verbose_name='wrong tokens in a row'),
        ),
        migrations.AddConstraint(
            model_name='challenge',
            constraint=models.CheckConstraint(condition=models.Q(('participant__isnull', False), ('purpose', 'contact'), _connector='OR'), name='twofa_challenge_somebody'),
        ),
    ]
