"""How much is known of a customer: a row of its own, as his identity has another machine."""

from django.db import models
from django.db.models.functions import Now
from django_fsm import FSMField, transition

from accounts.models.people import Customer
from accounts.states import Level
from wallet_project.utils.ids import uuid7


class CustomerLevel(models.Model):
    """There from the first time on that the customer's identity was verified. A check that ends badly leaves it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    customer = models.OneToOneField(Customer, on_delete=models.PROTECT, related_name="level")
    level = FSMField(default=Level.BASIC, choices=Level.choices)
    limits = models.CharField(max_length=16, blank=True, help_text="which limits were set for it; empty: none")
    changed_at = models.DateTimeField(db_default=Now())

    class Meta:
        # What looks for those whose limits the settings have changed since.
        indexes = [models.Index(fields=["level", "limits"], name="level_by_its_limits")]
        permissions = [("lower_level", "Can take a customer back to the basic level")]
        default_permissions = ("view",)
        verbose_name = "level"

    def __str__(self) -> str:
        return str(self.get_level_display())

    @transition(field=level, source=Level.BASIC, target=Level.FULL)
    def rise(self) -> None:
        """Documents have shown who the customer is and where he lives."""

    @transition(field=level, source=Level.FULL, target=Level.BASIC)
    def fall(self) -> None:
        """A document has expired, or staff no longer rely on what was shown."""
