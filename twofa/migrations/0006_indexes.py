"""What the lists of staff stand on: see the comments beside each index, and docs/reference/performance.md.

Of these only ``twofa_redemption_not_completed`` is written to by a redemption that goes well, twice. The constraints
keep their names and their columns; the order of the columns changes, so that the same index answers a search as well.
"""

from __future__ import annotations

from django.db import migrations, models
from django.db.models.functions import StrIndex, Substr


class Migration(migrations.Migration):
    dependencies = [("twofa", "0005_audit")]

    operations = [
        migrations.AddIndex(
            model_name="redemption",
            index=models.Index(
                condition=models.Q(("status", "completed"), _negated=True),
                fields=["status", "id"],
                name="twofa_redemption_not_completed",
            ),
        ),
        migrations.AddIndex(
            model_name="redemption",
            index=models.Index(condition=models.Q(("test", True)), fields=["id"], name="twofa_redemption_test"),
        ),
        migrations.AddIndex(
            model_name="challenge",
            index=models.Index(
                condition=models.Q(("status__in", ("rejected", "expired", "cancelled"))),
                fields=["status", "id"],
                name="twofa_challenge_unapproved",
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("status__in", ("failed", "expired", "superseded"))),
                fields=["status", "id"],
                name="twofa_delivery_unsent",
            ),
        ),
        migrations.AddIndex(
            model_name="event",
            index=models.Index(
                Substr("type", 1, StrIndex("type", models.Value(".")) - 1),
                models.F("id"),
                condition=models.Q(("redemption__isnull", True)),
                name="twofa_event_unredeemed",
            ),
        ),
        migrations.AddIndex(
            model_name="event",
            index=models.Index(
                condition=models.Q(("actor_kind__in", ("storefront", "worker")), _negated=True),
                fields=["actor_kind", "id"],
                name="twofa_event_people",
            ),
        ),
        migrations.RemoveConstraint(model_name="participant", name="twofa_participant_external_id"),
        migrations.AddConstraint(
            model_name="participant",
            constraint=models.UniqueConstraint(
                fields=("external_id", "campaign"), name="twofa_participant_external_id"
            ),
        ),
        migrations.RemoveConstraint(model_name="redemption", name="twofa_redemption_order"),
        migrations.AddConstraint(
            model_name="redemption",
            constraint=models.UniqueConstraint(
                fields=("order_id", "storefront", "campaign"), name="twofa_redemption_order"
            ),
        ),
    ]
