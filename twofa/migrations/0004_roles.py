from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("twofa", "0003_redemption_permissions")]

    operations = [
        migrations.AlterModelOptions(
            name="participant",
            options={
                "ordering": ("-id",),
                "permissions": [("view_contacts", "Can see addresses and document numbers unmasked")],
                "verbose_name": "participant",
                "verbose_name_plural": "participants",
            },
        ),
    ]
