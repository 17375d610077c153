"""Accounts. The two balances are a projection of the ledger: only its posting functions write them."""

from collections.abc import Iterable
from typing import Any

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django_fsm import FSMField, transition

from accounts.models.people import Customer
from accounts.states import AccountKind, AccountStatus, SystemPurpose
from wallet_project.utils.ids import uuid7
from wallet_project.utils.transitions import StateChangeBase


class Account(models.Model):
    """Money of one customer, or of the wallet itself, in one currency. Amounts are minor units."""

    #: All that the application may change of an account; the balances are a projection of the ledger's rows.
    CHANGEABLE = ("label", "status", "status_reason")
    #: The wallet's own accounts have nobody to ask for them.
    BORN = (AccountStatus.OPEN,)

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=10, choices=AccountKind.choices, default=AccountKind.CUSTOMER)
    purpose = models.CharField(max_length=12, choices=SystemPurpose.choices, blank=True)
    customer = models.ForeignKey(
        Customer, null=True, blank=True, on_delete=models.PROTECT, related_name="accounts", db_index=False
    )
    currency = models.CharField(max_length=3)
    label = models.CharField(max_length=60, blank=True)
    status = FSMField(default=AccountStatus.REQUESTED, choices=AccountStatus.choices)
    status_reason = models.CharField(max_length=200, blank=True, help_text="why, in words the customer may see")
    cleared = models.BigIntegerField(default=0, editable=False, help_text="credits − debits, cleared; minor units")
    reserved = models.BigIntegerField(default=0, editable=False, help_text="pending debits; minor units")
    last_sequence = models.BigIntegerField(default=0, editable=False)
    debits = models.BigIntegerField(
        default=0, db_default=0, editable=False, help_text="how many it was asked for and had the funds for; no fees"
    )
    sent = models.BigIntegerField(
        default=0, db_default=0, editable=False, help_text="what of these went to others; minor units"
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        indexes = [models.Index(fields=["customer", "id"], name="account_by_customer")]
        constraints = [
            models.UniqueConstraint(
                fields=["purpose", "currency"], condition=Q(kind="system"), name="account_one_of_a_purpose_per_currency"
            ),
            models.CheckConstraint(
                name="account_belongs_to_a_customer_or_has_a_purpose",
                condition=Q(kind="customer", customer__isnull=False, purpose="")
                | (Q(kind="system", customer__isnull=True) & ~Q(purpose="")),
            ),
            models.CheckConstraint(name="account_cleared_not_negative", condition=Q(kind="system") | Q(cleared__gte=0)),
            models.CheckConstraint(name="account_reserved_not_negative", condition=Q(reserved__gte=0)),
            models.CheckConstraint(
                name="account_available_not_negative", condition=Q(kind="system") | Q(reserved__lte=F("cleared"))
            ),
            models.CheckConstraint(
                name="account_of_the_wallet_reserves_nothing", condition=Q(kind="customer") | Q(reserved=0)
            ),
        ]
        permissions = [("freeze_account", "Can freeze and unfreeze accounts")]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.purpose or self.label or self.kind} {self.currency}"

    def save(self, *args: Any, update_fields: Iterable[str] | None = None, **kwargs: Any) -> None:
        """Leave the balances out: a stale object must never undo a posting."""
        if not self._state.adding and update_fields is None:
            update_fields = self.CHANGEABLE
        super().save(*args, update_fields=update_fields, **kwargs)

    @property
    def available(self) -> int:
        """What may be spent now: cleared money less what pending debits have reserved, in minor units."""
        return self.cleared - self.reserved

    @transition(field=status, source=AccountStatus.REQUESTED, target=AccountStatus.OPEN)
    def open(self) -> None:
        self.status_reason = ""

    @transition(field=status, source=AccountStatus.REQUESTED, target=AccountStatus.REJECTED)
    def reject(self) -> None:
        """The reason is set by the use case."""

    @transition(field=status, source=AccountStatus.OPEN, target=AccountStatus.FROZEN)
    def freeze(self) -> None:
        """Nothing goes out; what comes in is kept."""

    @transition(field=status, source=AccountStatus.FROZEN, target=AccountStatus.OPEN)
    def unfreeze(self) -> None:
        self.status_reason = ""

    @transition(field=status, source=[AccountStatus.OPEN, AccountStatus.FROZEN], target=AccountStatus.CLOSED)
    def close(self) -> None:
        """Only at zero balance with nothing pending; the use case sees to it."""


class StateChange(StateChangeBase):
    class Meta(StateChangeBase.Meta):
        indexes = [models.Index(fields=["subject_id", "id"], name="accounts_change_by_subject")]
