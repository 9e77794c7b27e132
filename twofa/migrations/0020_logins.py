"""Access tokens of participants, the grant of a registration, and wrong passwords by name."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('twofa', '0019_challenges'),
    ]

    operations = [
        migrations.CreateModel(
            name='AccessToken',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('prefix', models.CharField(editable=False, max_length=24, unique=True, verbose_name='prefix')),
                ('hashed_token', models.BinaryField(max_length=32, verbose_name='hash')),
                ('session_hash', models.BinaryField(max_length=32, verbose_name='hash of the session')),
                ('created_at', models.DateTimeField(verbose_name='created at')),
                ('expires_at', models.DateTimeField(verbose_name='expires at')),
                ('revoked_at', models.DateTimeField(blank=True, editable=False, null=True, verbose_name='revoked at')),
                ('last_used_at', models.DateTimeField(blank=True, editable=False, null=True, verbose_name='last used at')),
                ('participant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='access_tokens', to='twofa.participant', verbose_name='participant')),
                ('storefront', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='access_tokens', to='twofa.storefront', verbose_name='storefront')),
            ],
            options={
                'verbose_name': 'access token',
                'verbose_name_plural': 'access tokens',
                'ordering': ('-id',),
                'indexes': [models.Index(fields=['expires_at'], name='twofa_access_token_expiry')],
            },
        ),
        migrations.CreateModel(
            name='LoginGrant',
            fields=[
                ('challenge', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='login_grant', serialize=False, to='twofa.challenge', verbose_name='challenge')),
                ('expires_at', models.DateTimeField(verbose_name='expires at')),
                ('used_at', models.DateTimeField(null=True, verbose_name='used at')),
                ('participant', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='login_grants', to='twofa.participant', verbose_name='participant')),
            ],
            options={
                'verbose_name': 'login grant',
                'verbose_name_plural': 'login grants',
            },
        ),
        migrations.CreateModel(
            name='LoginBudget',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('username_hash', models.BinaryField(max_length=32, verbose_name='hash of the name')),
                ('failures', models.PositiveSmallIntegerField(default=0, verbose_name='wrong passwords')),
                ('since', models.DateTimeField(verbose_name='since')),
                ('storefront', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='login_budgets', to='twofa.storefront', verbose_name='storefront')),
            ],
            options={
                'verbose_name': 'login budget',
                'verbose_name_plural': 'login budgets',
                'indexes': [models.Index(fields=['since'], name='twofa_login_budget_since')],
                'constraints': [models.UniqueConstraint(fields=('storefront', 'username_hash'), name='twofa_login_budget_name')],
            },
        ),
    ]
