"""Permissions to change a participant's method, and the index by which those who share a contact are counted."""

from __future__ import annotations

from django.db import migrations, models
from django.db.models.functions import Lower


class Migration(migrations.Migration):
    dependencies = [("twofa", "0008_identity_documents")]

    operations = [
        migrations.AlterModelOptions(
            name="participant",
            options={
                "ordering": ("-id",),
                "permissions": [
                    ("view_contacts", "Can see addresses and document numbers unmasked"),
                    ("change_method", "Can change a participant's two-factor method"),
                    ("switch_off_two_factor", "Can switch two-factor off for a participant"),
                ],
                "verbose_name": "participant",
                "verbose_name_plural": "participants",
            },
        ),
        migrations.AddIndex(
            model_name="device",
            index=models.Index(
                Lower("address"),
                condition=models.Q(("status", "revoked"), _negated=True),
                name="twofa_device_contact",
            ),
        ),
    ]
