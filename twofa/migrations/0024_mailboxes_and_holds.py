"""Budgets are counted by the mailbox, whatever its capitals; sessions end with the hold of what verified them.

An authenticator app cools off before it approves orders.
"""

from django.db import migrations, models
from django.db.models import F, Q
from django.db.models.functions import Upper

HELD = ("device", "authenticator")


def unconfirm(apps, schema_editor):
    for name in HELD:
        rows = apps.get_model("twofa", name)._base_manager.using(schema_editor.connection.alias)
        rows.filter(confirmed=True, held_at__isnull=False).update(confirmed=False)


def approve(apps, schema_editor):
    rows = apps.get_model("twofa", "Authenticator")._base_manager.using(schema_editor.connection.alias)
    rows.filter(status="active").update(approves_from=F("activated_at"))


def confirm(apps, schema_editor):
    for name in HELD:
        rows = apps.get_model("twofa", name)._base_manager.using(schema_editor.connection.alias)
        rows.filter(confirmed=False, status="active").update(confirmed=True)


class Migration(migrations.Migration):
    dependencies = [("twofa", "0023_unbound_factors")]

    operations = [
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(Upper("address"), "created_at", name="twofa_delivery_contact"),
        ),
        migrations.RemoveIndex(model_name="delivery", name="twofa_delivery_destination"),
        migrations.RemoveConstraint(model_name="authenticator", name="twofa_authenticator_confirmed"),
        migrations.RemoveConstraint(model_name="device", name="twofa_device_confirmed"),
        migrations.RunPython(unconfirm, confirm),
        migrations.AddField(
            model_name="authenticator",
            name="approves_from",
            field=models.DateTimeField(blank=True, null=True, verbose_name="approves orders from"),
        ),
        migrations.RemoveConstraint(model_name="authenticator", name="twofa_authenticator_proved"),
        migrations.RunPython(approve, migrations.RunPython.noop),
        migrations.AddConstraint(
            model_name="authenticator",
            constraint=models.CheckConstraint(
                condition=~Q(status="active")
                | Q(activated_at__isnull=False, approves_from__isnull=False, last_step__isnull=False),
                name="twofa_authenticator_proved",
            ),
        ),
        migrations.AddConstraint(
            model_name="authenticator",
            constraint=models.CheckConstraint(
                condition=Q(confirmed=True, status="active", held_at=None)
                | Q(confirmed=False) & (~Q(status="active") | Q(held_at__isnull=False)),
                name="twofa_authenticator_confirmed",
            ),
        ),
        migrations.AddConstraint(
            model_name="device",
            constraint=models.CheckConstraint(
                condition=Q(confirmed=False) | Q(status="active"), name="twofa_device_confirmed"
            ),
        ),
    ]
