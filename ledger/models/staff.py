"""What needs a human, and what staff ask of the ledger."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django_fsm import FSMField, transition

from accounts.models import Account, Principal
from ledger.models.transactions import Transaction
from ledger.states import AdjustmentKind, AdjustmentStatus, EscalationKind, EscalationStatus
from wallet_project.utils.ids import uuid7


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


class Adjustment(models.Model):
    """A movement that one member of staff proposes and another approves; it posts one transaction."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=12, choices=AdjustmentKind.choices)
    debit_account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+", db_index=False)
    credit_account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+", db_index=False)
    amount = models.BigIntegerField(help_text="minor units")
    currency = models.CharField(max_length=3)
    reverses = models.ForeignKey(
        Transaction, null=True, on_delete=models.PROTECT, related_name="+", db_index=False, help_text="of a reversal"
    )
    about = models.ForeignKey(
        Transaction,
        null=True,
        on_delete=models.PROTECT,
        related_name="set_right_by",
        help_text="the movement that it sets right, such as the money that came into suspense",
    )
    escalation = models.ForeignKey(
        Escalation, null=True, on_delete=models.PROTECT, related_name="adjustments", help_text="resolved with it"
    )
    beneficiary = models.JSONField(null=True, help_text="of a return: name and iban")
    reference = models.CharField(max_length=140, blank=True, help_text="the bank's, where the settlement account moves")
    reason = models.CharField(max_length=500)
    maker = models.ForeignKey(Principal, on_delete=models.PROTECT, related_name="+", db_index=False)
    checker = models.ForeignKey(Principal, null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    transaction = models.OneToOneField(
        Transaction, null=True, on_delete=models.PROTECT, related_name="adjustment", help_text="what it has posted"
    )
    status = FSMField(default=AdjustmentStatus.PROPOSED, choices=AdjustmentStatus.choices)
    created_at = models.DateTimeField(db_default=Now())
    decided_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["id"], condition=Q(status="proposed"), name="adjustment_proposed")]
        constraints = [
            models.CheckConstraint(name="adjustment_amount_in_range", condition=Q(amount__gt=0, amount__lte=10**15)),
            models.CheckConstraint(
                name="adjustment_accounts_differ", condition=~Q(debit_account_id=F("credit_account_id"))
            ),
            models.CheckConstraint(
                name="adjustment_checker_is_not_its_maker",
                condition=Q(checker__isnull=True) | ~Q(checker_id=F("maker_id")),
            ),
            models.CheckConstraint(
                name="adjustment_decided_by_a_second_person",
                condition=Q(status__in=["proposed", "withdrawn"]) | Q(checker__isnull=False, decided_at__isnull=False),
            ),
            models.CheckConstraint(
                name="adjustment_posted_has_a_transaction",
                condition=Q(status="posted", transaction__isnull=False)
                | (~Q(status="posted") & Q(transaction__isnull=True)),
            ),
            models.UniqueConstraint(
                fields=["escalation"], condition=Q(status="proposed"), name="adjustment_one_proposal_per_escalation"
            ),
            models.CheckConstraint(name="adjustment_has_a_reason", condition=~Q(reason="")),
        ]
        permissions = [
            ("propose_adjustment", "Can propose adjustments"),
            ("approve_adjustment", "Can approve adjustments that others proposed"),
        ]
        default_permissions = ("view",)
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.id}"

    @transition(field=status, source=AdjustmentStatus.PROPOSED, target=AdjustmentStatus.POSTED)
    def post(self) -> None:
        """A second person agreed, and the ledger posts it in the same commit."""

    @transition(field=status, source=AdjustmentStatus.PROPOSED, target=AdjustmentStatus.REFUSED)
    def refuse(self) -> None:
        """A second person agreed, and the ledger could not post it."""

    @transition(field=status, source=AdjustmentStatus.PROPOSED, target=AdjustmentStatus.DECLINED)
    def decline(self) -> None:
        """The second person does not agree."""

    @transition(field=status, source=AdjustmentStatus.PROPOSED, target=AdjustmentStatus.WITHDRAWN)
    def withdraw(self) -> None:
        """Who proposed it took it back."""
