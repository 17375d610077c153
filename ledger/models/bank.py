"""The bank's side of money: what we asked of it, and what it told us."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django_fsm import FSMField, transition

from ledger.models.transactions import Transaction
from ledger.states import RailDirection, RailStatus
from wallet_project.utils.ids import uuid7
from wallet_project.utils.inbound import InboundEventBase


class RailTransfer(models.Model):
    """What we asked of a bank for one deposit or withdrawal, under a key derived from our row."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    transaction = models.OneToOneField(Transaction, on_delete=models.PROTECT, related_name="rail_transfer")
    direction = models.CharField(max_length=10, choices=RailDirection.choices)
    key = models.CharField(max_length=80, unique=True, help_text="our derived idempotency key at the bank")
    status = FSMField(default=RailStatus.QUEUED, choices=RailStatus.choices)
    attempts = models.PositiveIntegerField(default=0)
    next_at = models.DateTimeField(null=True, help_text="when we ask (again); null once ended")
    lease_token = models.UUIDField(null=True)
    bank_reference = models.CharField(max_length=128, blank=True)
    reason = models.CharField(max_length=500, blank=True, help_text="the bank's, or the last error")
    answers = models.JSONField(default=list, help_text="what the bank said last, raw")
    created_at = models.DateTimeField(db_default=Now())
    submitted_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    payer = models.JSONField(null=True, help_text="of a deposit: name, iban and country, where the bank names who paid")
    payer_passed_at = models.DateTimeField(null=True, help_text="when he was let through; it is not posted before")

    class Meta:
        verbose_name = "bank transfer"
        indexes = [models.Index(fields=["next_at"], condition=Q(next_at__isnull=False), name="rail_transfer_due")]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.direction} {self.key}"

    @transition(field=status, source=RailStatus.QUEUED, target=RailStatus.SUBMITTED)
    def submit(self) -> None:
        """From here on only the bank's word ends it."""

    @transition(field=status, source=[RailStatus.QUEUED, RailStatus.SUBMITTED], target=RailStatus.CONFIRMED)
    def confirm(self) -> None:
        """The bank has moved the money."""

    @transition(field=status, source=RailStatus.SUBMITTED, target=RailStatus.REJECTED)
    def reject(self) -> None:
        """The bank says that it has not moved the money and will not."""

    @transition(field=status, source=RailStatus.QUEUED, target=RailStatus.CANCELLED)
    def cancel(self) -> None:
        """Called off before the bank knew of it."""


class InboundEvent(InboundEventBase):
    """What a bank told us."""

    class Meta(InboundEventBase.Meta):
        verbose_name = "message"
        indexes = [models.Index(fields=["next_at"], condition=Q(next_at__isnull=False), name="bank_event_due")]
