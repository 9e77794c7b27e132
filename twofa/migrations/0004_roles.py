from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("twofa", "0003_redemption_permissions")]

    operations = []
