"""Whom a customer pays, and by what name he is found himself. What was used once is never taken out of the tables."""

from typing import Final

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django_fsm import FSMField, transition

from accounts.models.people import Customer
from accounts.states import BeneficiaryStatus, HandleStatus
from wallet_project.utils.ids import uuid7

#: As a regular expression of Python's and of PostgreSQL's alike.
IBAN_FORM: Final = "^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$"
HANDLE_FORM: Final = "^[a-z][a-z0-9_.]{2,29}$"


class Beneficiary(models.Model):
    """Somebody's bank account that a customer keeps to pay money out to. What he would change, he adds anew."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="beneficiaries", db_index=False)
    iban = models.CharField(max_length=34, help_text="ISO 13616, without spaces")
    holder = models.CharField(max_length=140, help_text="of the bank account")
    label = models.CharField(max_length=60, blank=True, help_text="the customer's own name for it")
    status = FSMField(default=BeneficiaryStatus.KEPT, choices=BeneficiaryStatus.choices)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    removed_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name_plural = "beneficiaries"
        indexes = [models.Index(fields=["customer", "id"], name="beneficiary_by_customer")]
        constraints = [
            models.UniqueConstraint(
                fields=["customer", "iban"], condition=Q(removed_at__isnull=True), name="beneficiary_kept_once"
            ),
            models.CheckConstraint(name="beneficiary_iban_has_its_form", condition=Q(iban__regex=IBAN_FORM)),
            models.CheckConstraint(
                name="beneficiary_removed_at_a_time",
                condition=Q(status=BeneficiaryStatus.KEPT, removed_at__isnull=True)
                | Q(status=BeneficiaryStatus.REMOVED, removed_at__isnull=False),
            ),
        ]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.label or self.holder

    def as_paid(self) -> dict[str, str]:
        """What a withdrawal keeps of it."""
        return {"id": str(self.id), "name": self.holder, "iban": self.iban}

    @transition(field=status, source=BeneficiaryStatus.KEPT, target=BeneficiaryStatus.REMOVED)
    def remove(self) -> None:
        """When, is set by the use case."""


class Handle(models.Model):
    """A name by which a customer can be found and paid, for as long as he held it: one row each time."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="handles", db_index=False)
    handle = models.CharField(max_length=30, help_text="small letters of ASCII, digits, '_' and '.'")
    status = FSMField(default=HandleStatus.HELD, choices=HandleStatus.choices)
    claimed_at = models.DateTimeField(db_default=Now(), editable=False)
    given_up_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        indexes = [
            models.Index(fields=["customer", "id"], name="handle_by_customer"),
            # Whose it was: a name that was given up rests before somebody else may have it.
            models.Index(fields=["handle"], name="handle_by_name"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["handle"], condition=Q(given_up_at__isnull=True), name="handle_belongs_to_one_customer"
            ),
            models.UniqueConstraint(
                fields=["customer"], condition=Q(given_up_at__isnull=True), name="handle_one_per_customer"
            ),
            models.CheckConstraint(name="handle_has_its_form", condition=Q(handle__regex=HANDLE_FORM)),
            models.CheckConstraint(
                name="handle_given_up_at_a_time",
                condition=Q(status=HandleStatus.HELD, given_up_at__isnull=True)
                | Q(status=HandleStatus.GIVEN_UP, given_up_at__isnull=False),
            ),
        ]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"@{self.handle}"

    @transition(field=status, source=HandleStatus.HELD, target=HandleStatus.GIVEN_UP)
    def give_up(self) -> None:
        """When, is set by the use case."""
