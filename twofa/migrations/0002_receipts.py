from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("twofa", "0001_initial")]

    operations = []
