from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("twofa", "0004_roles")]

    operations = []
