"""Money: what was asked (Transaction), what was posted (Entry), what waits (WorkItem), and the bank's side of it.

The application's role can only read transactions, entries and work items; the functions in ledger/sql write them.
"""

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django_fsm import FSMField, transition

from accounts.models import Account, Principal
from ledger.states import (
    Direction,
    EscalationKind,
    EscalationStatus,
    RailDirection,
    RailStatus,
    Stage,
    TransactionKind,
    TransactionStatus,
)
from wallet_project.utils.ids import uuid7
from wallet_project.utils.inbound import InboundEventBase
from wallet_project.utils.transitions import StateChangeBase


class Transaction(models.Model):
    """One amount (minor units) from a debit account to a credit account. Immutable, but for columns written once."""

    #: Refused for lack of funds: recorded, and never pending.
    BORN = (TransactionStatus.FAILED,)

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=12, choices=TransactionKind.choices)
    status = FSMField(default=TransactionStatus.PENDING, choices=TransactionStatus.choices)
    # The real keys are composite, (account, currency), and stand in the migration.
    debit_account = models.ForeignKey(
        Account, on_delete=models.PROTECT, related_name="debit_transactions", db_constraint=False, db_index=False
    )
    credit_account = models.ForeignKey(
        Account, on_delete=models.PROTECT, related_name="credit_transactions", db_constraint=False, db_index=False
    )
    amount = models.BigIntegerField(help_text="minor units")
    currency = models.CharField(max_length=3)
    group_id = models.UUIDField(null=True, help_text="legs that clear all or none share it")
    initiator = models.ForeignKey(Principal, on_delete=models.PROTECT, related_name="+", db_index=False)
    reference = models.CharField(max_length=140, blank=True)
    metadata = models.JSONField(default=dict)
    beneficiary = models.JSONField(null=True, help_text="of a withdrawal: name and iban")
    reverses = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="reversals", db_index=False)
    failure = models.CharField(max_length=40, blank=True, help_text="a code of ledger.failures")
    created_at = models.DateTimeField(db_default=Now())
    approved_at = models.DateTimeField(null=True)
    captured_amount = models.BigIntegerField(null=True, help_text="minor units; null: all of it")
    captured_at = models.DateTimeField(null=True)
    cleared_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["debit_account", "id"], name="transaction_by_debit_account"),
            models.Index(fields=["credit_account", "id"], name="transaction_by_credit_account"),
            models.Index(fields=["group_id"], condition=Q(group_id__isnull=False), name="transaction_by_group"),
            models.Index(fields=["id"], condition=Q(status="pending"), name="transaction_pending"),
            BrinIndex(fields=["created_at"], name="transaction_by_time"),
        ]
        constraints = [
            models.CheckConstraint(name="transaction_amount_in_range", condition=Q(amount__gt=0, amount__lte=10**15)),
            models.CheckConstraint(
                name="transaction_accounts_differ", condition=~Q(debit_account_id=F("credit_account_id"))
            ),
            models.CheckConstraint(
                name="transaction_failure_says_why",
                condition=(Q(status="failed") & ~Q(failure="")) | (~Q(status="failed") & Q(failure="")),
            ),
            models.CheckConstraint(
                name="transaction_cleared_after_approval",
                condition=~Q(status="cleared") | Q(approved_at__isnull=False, cleared_at__isnull=False),
            ),
            models.CheckConstraint(
                name="transaction_captures_at_most_its_amount",
                condition=Q(captured_amount__isnull=True) | Q(captured_amount__gt=0, captured_amount__lte=F("amount")),
            ),
        ]
        default_permissions = ("view",)
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"

    @property
    def unit_id(self) -> object:
        """What is claimed, approved and cleared as one: the group, or the transaction alone."""
        return self.group_id or self.id

    @transition(field=status, source=TransactionStatus.PENDING, target=TransactionStatus.CLEARED)
    def clear(self) -> None:
        """Declared for the trigger and the reader; done set-based by `ledger_clear`."""

    @transition(field=status, source=TransactionStatus.PENDING, target=TransactionStatus.FAILED)
    def fail(self) -> None:
        """Declared for the trigger and the reader; done set-based by `ledger_fail`."""


class WorkItem(models.Model):
    """What waits, one row per pending unit; gone when the unit ends. Due when `next_at` has passed."""

    unit_id = models.UUIDField(primary_key=True, editable=False)
    stage = models.CharField(max_length=12, choices=Stage.choices)
    next_at = models.DateTimeField(null=True, help_text="null: waits for a human or the bank, who are on record")
    lease_token = models.UUIDField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    last_error = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = "waiting unit"
        indexes = [models.Index(fields=["stage", "next_at"], condition=Q(next_at__isnull=False), name="work_item_due")]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.unit_id} waits for {self.get_stage_display()}"


class Entry(models.Model):
    """One side of a cleared transaction, with the account's running balance. Never changed, never removed."""

    id = models.BigAutoField(primary_key=True)
    transaction = models.ForeignKey(Transaction, on_delete=models.PROTECT, related_name="entries", db_index=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="entries", db_index=False)
    direction = models.CharField(max_length=6, choices=Direction.choices)
    amount = models.BigIntegerField(help_text="minor units")
    balance_after = models.BigIntegerField(help_text="the account's cleared balance after it; minor units")
    sequence = models.BigIntegerField(help_text="its number in the account, from 1, without a gap")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [BrinIndex(fields=["created_at"], name="entry_by_time")]
        constraints = [
            models.UniqueConstraint(fields=["account", "sequence"], name="entry_sequence_unique_in_account"),
            models.UniqueConstraint(fields=["transaction", "direction"], name="entry_one_debit_and_one_credit"),
            models.CheckConstraint(name="entry_amount_positive", condition=Q(amount__gt=0)),
            models.CheckConstraint(name="entry_direction_known", condition=Q(direction__in=["debit", "credit"])),
        ]
        default_permissions = ("view",)
        verbose_name_plural = "entries"
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.direction} {self.amount} on {self.account_id}"


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


class Escalation(models.Model):
    """Something in the ledger that needs a human; the compliance app opens exactly one case for each."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=20, choices=EscalationKind.choices)
    subject_type = models.CharField(max_length=20, help_text="such as `transaction`, `rail_transfer`, `inbound_event`")
    subject_id = models.CharField(max_length=64)
    transaction = models.ForeignKey(Transaction, null=True, on_delete=models.PROTECT, related_name="escalations")
    details = models.JSONField(default=dict)
    status = FSMField(default=EscalationStatus.OPEN, choices=EscalationStatus.choices)
    created_at = models.DateTimeField(db_default=Now())
    resolved_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "subject_id"], condition=Q(status="open"), name="escalation_open_once_per_subject"
            )
        ]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.get_kind_display()} ({self.subject_type} {self.subject_id})"

    @transition(field=status, source=EscalationStatus.OPEN, target=EscalationStatus.RESOLVED)
    def resolve(self) -> None:
        """A human has seen to it."""


class StateChange(StateChangeBase):
    class Meta(StateChangeBase.Meta):
        indexes = [models.Index(fields=["subject_id", "id"], name="ledger_change_by_subject")]
