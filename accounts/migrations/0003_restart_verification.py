"""The permission to have a customer's identity checked again."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_guards")]
    operations = [
        migrations.AlterModelOptions(
            name="customer",
            options={
                "default_permissions": ("view",),
                "permissions": [("restart_verification", "Can have a customer's identity checked again")],
            },
        )
    ]
