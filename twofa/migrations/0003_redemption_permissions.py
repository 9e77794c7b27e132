from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("twofa", "0002_receipts")]

    operations = []
