"""Pauses of prefixes, safe numbers, the cost of messages, and two more budgets.

Messages of before have no prefix, and do not count: the breaker sees what is queued from now on.
"""

from __future__ import annotations

import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('twofa', '0016_approvers'),
    ]

    operations = [
        migrations.CreateModel(
            name='PrefixPause',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('prefix', models.CharField(max_length=16, verbose_name='prefix')),
                ('sends', models.PositiveIntegerField(verbose_name='messages')),
                ('confirmations', models.PositiveIntegerField(verbose_name='confirmed')),
                ('paused_at', models.DateTimeField(verbose_name='paused at')),
                ('paused_until', models.DateTimeField(verbose_name='paused until')),
                ('ended_at', models.DateTimeField(null=True, verbose_name='ended at')),
                ('lifted_by', models.CharField(blank=True, max_length=150, verbose_name='lifted by')),
            ],
            options={
                'verbose_name': 'pause of a prefix',
                'verbose_name_plural': 'pauses of prefixes',
                'ordering': ('-id',),
                'permissions': [('lift_prefixpause', 'Can let messages go to a paused prefix again')],
                'default_permissions': ('view',),
            },
        ),
        migrations.CreateModel(
            name='SafeNumber',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('prefix', models.CharField(help_text='With the country code, and without spaces: +551199999 stands for all numbers that begin so.', max_length=16, validators=[django.core.validators.RegexValidator('^\\+[1-9][0-9]{3,14}\\Z', 'Write it like +55119, with the country code.')], verbose_name='number, or its beginning')),
                ('reason', models.CharField(help_text='Kept in the audit trail, with your name.', max_length=200, verbose_name='reason')),
                ('created_by', models.CharField(max_length=150, verbose_name='added by')),
                ('created_at', models.DateTimeField(verbose_name='created at')),
                ('removed_at', models.DateTimeField(null=True, verbose_name='removed at')),
            ],
            options={
                'verbose_name': 'safe number',
                'verbose_name_plural': 'safe numbers',
                'ordering': ('-id',),
                'default_permissions': ('view', 'add', 'change'),
            },
        ),
        migrations.RemoveIndex(
            model_name='delivery',
            name='twofa_delivery_campaign',
        ),
        migrations.AddField(
            model_name='campaign',
            name='sends_per_prefix_per_day',
            field=models.PositiveIntegerField(blank=True, null=True, verbose_name='messages per prefix and day'),
        ),
        migrations.AddField(
            model_name='campaign',
            name='sms_per_day',
            field=models.PositiveIntegerField(blank=True, null=True, verbose_name='SMS per day'),
        ),
        migrations.AddField(
            model_name='delivery',
            name='cost',
            field=models.DecimalField(decimal_places=6, help_text='Of the list, or as the provider told it. Empty where nobody knows.', max_digits=12, null=True, verbose_name='cost'),
        ),
        migrations.AddField(
            model_name='delivery',
            name='prefix',
            field=models.CharField(blank=True, db_default='', default='', max_length=16, verbose_name='prefix'),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(fields=['campaign', 'created_at', 'channel'], name='twofa_delivery_campaign'),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(condition=models.Q(('prefix', ''), _negated=True), fields=['prefix', 'created_at'], name='twofa_delivery_prefix'),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(condition=models.Q(('prefix', ''), _negated=True), fields=['created_at', 'prefix'], name='twofa_delivery_dialled'),
        ),
        migrations.AddIndex(
            model_name='prefixpause',
            index=models.Index(fields=['prefix', '-ended_at'], name='twofa_prefix_pause_ended'),
        ),
        migrations.AddConstraint(
            model_name='prefixpause',
            constraint=models.UniqueConstraint(condition=models.Q(('ended_at', None)), fields=('prefix',), name='twofa_prefix_pause_one_open'),
        ),
        migrations.AddConstraint(
            model_name='prefixpause',
            constraint=models.CheckConstraint(condition=models.Q(('lifted_by', ''), ('ended_at__isnull', False), _connector='OR'), name='twofa_prefix_pause_lifted'),
        ),
        migrations.AddConstraint(
            model_name='safenumber',
            constraint=models.UniqueConstraint(condition=models.Q(('removed_at', None)), fields=('prefix',), name='twofa_safe_number_once'),
        ),
    ]
