"""Who of staff sees levels of customers and may take one back."""

from django.db import migrations

from wallet_project.utils.roles import give_to_roles

VIEW = ["view_customerlevel"]
ROLES = {
    "Officer": [*VIEW, "lower_level"],
    "Senior officer": [*VIEW, "lower_level"],
    "Auditor": VIEW,
    "Administrator": VIEW,
}


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0005_levels"),
        ("compliance", "0009_destinations"),
    ]
    operations = [give_to_roles("accounts", ROLES)]
