"""Money: what was asked (Transaction), what was posted (Entry), and what waits (WorkItem).

The application's role can only read transactions, entries and work items; the functions in ledger/sql write them.
"""

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import F, Func, Q, SmallIntegerField, Value
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Now, Replace, Upper
from django.db.models.lookups import Exact
from django_fsm import FSMField, transition

from accounts.models import Account, Principal
from ledger.states import Direction, Stage, TransactionKind, TransactionStatus
from wallet_project.utils.ids import uuid7
from wallet_project.utils.transitions import StateChangeBase

_WAIT = Func(F("created_at"), F("cleared_at"), F("failed_at"), function="ledger_wait", output_field=SmallIntegerField())


class Transaction(models.Model):
    """One amount (minor units) from a debit account to a credit account. Immutable, but for columns written once."""

    #: Refused for lack of funds: recorded, and never pending.
    BORN = (TransactionStatus.FAILED,)

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=12, choices=TransactionKind.choices)
    status = FSMField(default=TransactionStatus.PENDING, choices=TransactionStatus.choices)
    # The trigger transaction_refers_to_rows stands in for the keys of both, with the currency, and of the initiator:
    # row by row they took a third of posting a thousand.
    debit_account = models.ForeignKey(
        Account, on_delete=models.PROTECT, related_name="debit_transactions", db_constraint=False, db_index=False
    )
    credit_account = models.ForeignKey(
        Account, on_delete=models.PROTECT, related_name="credit_transactions", db_constraint=False, db_index=False
    )
    amount = models.BigIntegerField(help_text="minor units")
    currency = models.CharField(max_length=3)
    group_id = models.UUIDField(null=True, help_text="legs that clear all or none share it")
    initiator = models.ForeignKey(
        Principal, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    reference = models.CharField(max_length=140, blank=True)
    metadata = models.JSONField(default=dict)
    beneficiary = models.JSONField(null=True, help_text="of a withdrawal: name and iban")
    reverses = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="reversals", db_index=False)
    failure = models.CharField(max_length=40, blank=True, help_text="a code of ledger.failures")
    created_at = models.DateTimeField(db_default=Now())
    approved_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(
        null=True, help_text="a hold, which its payee captures before then or never; null: posted once it is approved"
    )
    captured_amount = models.BigIntegerField(null=True, help_text="minor units; null: all of it")
    captured_at = models.DateTimeField(null=True)
    cleared_at = models.DateTimeField(null=True)
    failed_at = models.DateTimeField(null=True)
    debits_before = models.BigIntegerField(
        db_default=0, editable=False, help_text="how many its debit account had been asked for before it"
    )
    sent_before = models.BigIntegerField(
        db_default=0, editable=False, help_text="what of these went to others; minor units"
    )

    waited = models.SmallIntegerField(
        db_default=0, editable=False, help_text="a class of how long it was pending (ledger_wait); 0: not for long"
    )

    class Meta:
        # No column that clearing writes stands in any of these, nor in a condition, but `waited`, where it was long: so
        # the new version of a row stays on its page, and no index is touched. What is pending is found by `Pending`.
        indexes = [
            models.Index(fields=["debit_account", "id"], name="transaction_by_debit_account"),
            models.Index(fields=["credit_account", "id"], name="transaction_by_credit_account"),
            models.Index(fields=["group_id"], condition=Q(group_id__isnull=False), name="transaction_by_group"),
            # What was pending at an instant, by how long it waited (ledger/sql/reads.sql): few rows have to be read.
            models.Index(
                fields=["debit_account", "waited", "created_at"],
                condition=~Q(kind="deposit") & Q(waited__gt=0),
                name="transaction_outlasting",
            ),
            models.Index(
                fields=["debit_account", "reference", "id"],
                condition=~Q(reference=""),
                name="transaction_debit_reference",
            ),
            models.Index(
                fields=["credit_account", "reference", "id"],
                condition=~Q(reference=""),
                name="transaction_credit_reference",
            ),
            # Those that are pending, as a hold does not clear without having been captured.
            models.Index(
                fields=["expires_at"],
                condition=Q(captured_at__isnull=True, failed_at__isnull=True, expires_at__isnull=False),
                name="transaction_hold_expiry",
            ),
            # What an account was asked for in a window of time (screening): two looks, and what came to less than that.
            models.Index(
                fields=["debit_account", "created_at", "debits_before"],
                condition=~Q(kind__in=["deposit", "fee"]),
                name="transaction_by_payer_time",
            ),
            models.Index(
                fields=["debit_account", "created_at"],
                condition=~Q(kind__in=["deposit", "fee"])
                & (Q(failed_at__gt=F("created_at")) | Q(captured_amount__lt=F("amount"))),
                name="transaction_undone",
            ),
            # Whether a withdrawal is the first to its IBAN (screening).
            models.Index(
                F("debit_account"),
                Upper(Replace(KeyTextTransform("iban", "beneficiary"), Value(" "), Value(""))),
                condition=Q(kind="withdrawal"),
                name="transaction_by_beneficiary",
            ),
            models.Index(fields=["reverses"], condition=Q(reverses__isnull=False), name="transaction_by_reversed"),
            BrinIndex(fields=["created_at"], name="transaction_by_time"),
        ]
        constraints = [
            models.CheckConstraint(name="transaction_amount_in_range", condition=Q(amount__gt=0, amount__lte=10**15)),
            models.CheckConstraint(
                name="transaction_accounts_differ", condition=~Q(debit_account_id=F("credit_account_id"))
            ),
            models.CheckConstraint(
                name="transaction_failure_says_why",
                condition=(Q(status="failed", failed_at__isnull=False) & ~Q(failure=""))
                | (~Q(status="failed") & Q(failure="", failed_at__isnull=True)),
            ),
            models.CheckConstraint(
                name="transaction_cleared_after_approval",
                condition=~Q(status="cleared") | Q(approved_at__isnull=False, cleared_at__isnull=False),
            ),
            models.CheckConstraint(
                name="transaction_captures_at_most_its_amount",
                condition=Q(captured_amount__isnull=True) | Q(captured_amount__gt=0, captured_amount__lte=F("amount")),
            ),
            models.CheckConstraint(
                name="transaction_captured_before_it_expires",
                condition=Q(captured_amount__isnull=True, captured_at__isnull=True)
                | Q(
                    captured_amount__isnull=False,
                    captured_at__isnull=False,
                    expires_at__isnull=False,
                    captured_at__lt=F("expires_at"),
                ),
            ),
            models.CheckConstraint(
                name="transaction_hold_clears_as_captured",
                condition=~Q(status="cleared") | Q(expires_at__isnull=True) | Q(captured_at__isnull=False),
            ),
            models.CheckConstraint(
                name="transaction_reversal_says_of_what",
                condition=Q(kind="reversal", reverses__isnull=False) | (~Q(kind="reversal") & Q(reverses__isnull=True)),
            ),
            models.CheckConstraint(name="transaction_waited_as_long", condition=Q(Exact(F("waited"), _WAIT))),
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


class Pending(models.Model):
    """Each pending transaction by its accounts, from when it is made until it ends: so those of an account are found
    without their status being in an index of the large table, all of which would be written to when it changes."""

    pk = models.CompositePrimaryKey("debit_account_id", "transaction_id")
    transaction_id = models.UUIDField()
    debit_account_id = models.UUIDField()
    credit_account_id = models.UUIDField()
    payee_sees = models.BooleanField(help_text="a deposit, or a hold, which he sees once it is approved")

    class Meta:
        verbose_name_plural = "pending"
        indexes = [
            models.Index(
                fields=["credit_account_id", "transaction_id"],
                condition=Q(payee_sees=True),
                name="pending_seen_by_payee",
            )
        ]
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.transaction_id)


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
    # The trigger entries_balance stands in for both keys, set-based: they took a quarter of clearing, row by row.
    transaction = models.ForeignKey(
        Transaction, on_delete=models.PROTECT, related_name="entries", db_constraint=False, db_index=False
    )
    account = models.ForeignKey(
        Account, on_delete=models.PROTECT, related_name="entries", db_constraint=False, db_index=False
    )
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


class StateChange(StateChangeBase):
    class Meta(StateChangeBase.Meta):
        indexes = [models.Index(fields=["subject_id", "id"], name="ledger_change_by_subject")]
