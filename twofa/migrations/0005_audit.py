import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("twofa", "0004_roles"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="EventSeal",
            fields=[
                ("number", models.BigIntegerField(primary_key=True, serialize=False, verbose_name="number")),
                ("sealed_at", models.DateTimeField(verbose_name="sealed at")),
                ("kid", models.CharField(max_length=64, verbose_name="key id")),
                (
                    "late",
                    models.BooleanField(
                        default=False,
                        help_text="Its events were committed after their neighbours had been sealed.",
                        verbose_name="late",
                    ),
                ),
                ("first_event", models.BigIntegerField(verbose_name="first event")),
                ("last_event", models.BigIntegerField(verbose_name="last event")),
                ("count", models.PositiveIntegerField(verbose_name="events")),
                ("runs", models.JSONField(verbose_name="ids")),
                ("marks", models.BinaryField(verbose_name="marks")),
                ("previous", models.BinaryField(max_length=32, verbose_name="digest before")),
                ("digest", models.BinaryField(max_length=32, verbose_name="digest")),
            ],
            options={
                "verbose_name": "seal of events",
                "verbose_name_plural": "seals of events",
                "ordering": ("number",),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("count__gte", 1), ("last_event__gte", models.F("first_event")), ("number__gte", 1)
                        ),
                        name="twofa_seal_numbers",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="PolicyChange",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("policy_version", models.PositiveIntegerField(verbose_name="policy version")),
                ("before", models.JSONField(verbose_name="before")),
                ("after", models.JSONField(verbose_name="after")),
                ("loosens", models.JSONField(verbose_name="loosens")),
                ("reason", models.CharField(max_length=200, verbose_name="reason")),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("pending", "waits for a second person"),
                            ("approved", "approved"),
                            ("rejected", "rejected"),
                            ("withdrawn", "withdrawn"),
                            ("expired", "expired"),
                        ],
                        default="pending",
                        max_length=10,
                        verbose_name="status",
                    ),
                ),
                ("requested_at", models.DateTimeField(verbose_name="proposed at")),
                ("decided_at", models.DateTimeField(null=True, verbose_name="decided at")),
                (
                    "campaign",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="policy_changes",
                        to="twofa.campaign",
                        verbose_name="campaign",
                    ),
                ),
                (
                    "decided_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="decided by",
                    ),
                ),
                (
                    "requested_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="proposed by",
                    ),
                ),
            ],
            options={
                "verbose_name": "policy proposal",
                "verbose_name_plural": "policy proposals",
                "ordering": ("-pk",),
                "permissions": [("approve_policy", "Can approve what another person proposes for a campaign's policy")],
                "default_permissions": ("view",),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("status__in", ("approved", "rejected")), _negated=True),
                            models.Q(
                                ("decided_by__isnull", False),
                                models.Q(("decided_by", models.F("requested_by")), _negated=True),
                            ),
                            _connector="OR",
                        ),
                        name="twofa_policy_change_two_people",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("decided_at__isnull", True), ("decided_by__isnull", True), ("status", "pending")),
                            models.Q(models.Q(("status", "pending"), _negated=True), ("decided_at__isnull", False)),
                            _connector="OR",
                        ),
                        name="twofa_policy_change_decided",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("status", "pending")),
                        fields=("campaign",),
                        name="twofa_policy_change_one_pending",
                    ),
                ],
            },
        ),
    ]
