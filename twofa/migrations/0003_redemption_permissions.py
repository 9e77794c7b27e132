import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("twofa", "0002_receipts")]

    operations = [
        migrations.AlterModelOptions(
            name="redemption",
            options={
                "ordering": ("-created_at", "-id"),
                "permissions": [
                    ("cancel_redemption", "Can cancel a redemption"),
                    ("retry_completion", "Can retry or fail a parked completion"),
                    ("resend_token", "Can send the token of a redemption again"),
                    ("export_redemptions", "Can export redemptions"),
                ],
                "verbose_name": "redemption",
                "verbose_name_plural": "redemptions",
            },
        ),
        # The index of the campaign's figures begins with what the key's own index was of, so it takes its place.
        migrations.AddIndex(
            model_name="challenge",
            index=models.Index(fields=["campaign", "created_at"], name="twofa_challenge_campaign"),
        ),
        migrations.AlterField(
            model_name="challenge",
            name="campaign",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="challenges",
                to="twofa.campaign",
                verbose_name="campaign",
            ),
        ),
        migrations.AddIndex(
            model_name="event",
            index=models.Index(
                condition=models.Q(
                    ("type__in", ("campaign.opened", "campaign.changed", "campaign.policy_changed")),
                ),
                fields=["campaign", "created_at"],
                name="twofa_event_policy",
            ),
        ),
        migrations.AddIndex(
            model_name="redemption",
            index=models.Index(
                condition=models.Q(("parked_at__isnull", False)),
                fields=["parked_at"],
                name="twofa_redemption_parked",
            ),
        ),
    ]
