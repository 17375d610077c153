"""Until when a verification is relied on."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0003_payees")]
    operations = [
        migrations.AddField(
            "customer",
            "verified_until",
            models.DateTimeField(
                blank=True, null=True, help_text="when the identity is checked again; null: not verified, or for good"
            ),
        ),
        migrations.AddIndex(
            "customer",
            models.Index(
                fields=["verified_until"],
                condition=models.Q(("kyc_status", "verified")),
                name="customer_kyc_grows_old",
            ),
        ),
    ]
