from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("twofa", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="delivery",
            name="delivered_at",
            field=models.DateTimeField(null=True, verbose_name="delivered at"),
        ),
        migrations.AddField(
            model_name="delivery",
            name="early_report",
            field=models.JSONField(editable=False, null=True, verbose_name="early report"),
        ),
        migrations.AddField(
            model_name="delivery",
            name="provider",
            field=models.CharField(blank=True, db_default="", default="", max_length=64, verbose_name="provider"),
        ),
        migrations.AlterField(
            model_name="event",
            name="actor_kind",
            field=models.CharField(
                choices=[
                    ("staff", "staff"),
                    ("storefront", "storefront"),
                    ("participant", "participant"),
                    ("worker", "worker"),
                    ("provider", "provider"),
                ],
                max_length=12,
                verbose_name="actor",
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("provider_message_id", ""), _negated=True),
                fields=["provider_message_id"],
                name="twofa_delivery_provider_id",
            ),
        ),
    ]
