from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("twofa", "0005_audit")]

    operations = []
