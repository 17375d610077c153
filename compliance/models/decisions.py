"""Decisions: identity checks, screenings, and the cases that people work on."""

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django_fsm import FSMField, transition

from accounts.models import Customer, Principal, ProfileVersion
from accounts.states import Level
from compliance.models.documents import Document
from compliance.models.matches import NameScreening, PayerScreening
from compliance.states import CasePriority, CaseStatus, CaseVerdict, CheckStatus, ScreeningStatus
from ledger.models import Escalation, Transaction
from wallet_project.utils.ids import uuid7
from wallet_project.utils.inbound import InboundEventBase
from wallet_project.utils.model_fields import one_of
from wallet_project.utils.transitions import StateChangeBase


class Check(models.Model):
    """What identity checks and screenings have in common."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    attempts = models.PositiveIntegerField(default=0)
    decided_by = models.CharField(max_length=20, blank=True, help_text="`provider`, `rules` or `officer`")
    reason = models.CharField(max_length=500, blank=True, help_text="for staff; never shown to the customer")
    created_at = models.DateTimeField(db_default=Now())
    decided_at = models.DateTimeField(null=True)

    class Meta:
        abstract = True
        default_permissions = ("view",)


class KycCheck(Check):
    """One check of one version of a customer's profile: of the identity (basic), or with documents (full). Tried until
    the provider has answered: when it is due, and whose lease it is, stands in the row."""

    status = FSMField(default=CheckStatus.QUEUED, choices=CheckStatus.choices)
    next_at = models.DateTimeField(null=True, db_default=Now(), help_text="null once decided or given to a human")
    lease_token = models.UUIDField(null=True)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="kyc_checks")
    profile = models.ForeignKey(ProfileVersion, on_delete=models.PROTECT, related_name="+")
    level = models.CharField(max_length=10, choices=Level.choices, default=Level.BASIC, help_text="what it is about")
    documents = models.ManyToManyField(Document, related_name="checks", help_text="that were sent for it")
    provider_reference = models.CharField(max_length=128, blank=True)
    answers = models.JSONField(default=list, help_text="what the provider said, raw, in order")

    class Meta(Check.Meta):
        verbose_name = "identity check"
        indexes = [models.Index(fields=["next_at"], condition=Q(next_at__isnull=False), name="kyc_check_due")]
        constraints = [
            models.UniqueConstraint(
                fields=["customer", "level"],
                condition=Q(status__in=["queued", "running", "in_review"]),
                name="kyc_check_one_at_a_time",
            )
        ]

    def __str__(self) -> str:
        return f"identity check of {self.customer_id}"

    @transition(field=status, source=CheckStatus.QUEUED, target=CheckStatus.RUNNING)
    def start(self) -> None:
        """Asked, no answer yet."""

    @transition(field=status, source=[CheckStatus.RUNNING, CheckStatus.IN_REVIEW], target=CheckStatus.APPROVED)
    def approve(self) -> None:
        """Decided by provider or officer."""

    @transition(field=status, source=[CheckStatus.RUNNING, CheckStatus.IN_REVIEW], target=CheckStatus.REJECTED)
    def reject(self) -> None:
        """Decided by provider or officer."""

    @transition(field=status, source=CheckStatus.RUNNING, target=CheckStatus.IN_REVIEW)
    def review(self) -> None:
        """A person decides; a case is opened in the same commit."""


class Screening(Check):
    """The one screening of a transaction: its facts, what each rule said, what was decided."""

    #: What waits to be screened, and what is under way, is the work item; this row is written once it was decided.
    BORN = tuple(ScreeningStatus)

    status = FSMField(default=ScreeningStatus.IN_REVIEW, choices=ScreeningStatus.choices)
    transaction = models.OneToOneField(Transaction, on_delete=models.PROTECT, related_name="screening")
    facts = models.JSONField(default=dict)
    findings = models.JSONField(default=list, help_text="[{rule, version, action, verdict, explanation, …}]")
    shadow = models.JSONField(null=True, help_text="what versions in shadow said, without effect; null for nothing")
    rules_revision = models.PositiveIntegerField(null=True, help_text="the set of rules by which it was decided")

    class Meta(Check.Meta):
        indexes = [
            models.Index(fields=["id"], condition=Q(shadow__isnull=False), name="screening_with_shadow"),
        ]

    def __str__(self) -> str:
        return f"screening of {self.transaction_id}"

    @transition(field=status, source=ScreeningStatus.IN_REVIEW, target=ScreeningStatus.APPROVED)
    def approve(self) -> None:
        """Decided by an officer."""

    @transition(field=status, source=ScreeningStatus.IN_REVIEW, target=ScreeningStatus.REJECTED)
    def reject(self) -> None:
        """Decided by an officer, or it ended before anybody had."""


class Case(models.Model):
    """Work for a person: one identity check, one screening, one look for a customer's or a payer's name on the lists,
    or one escalation of the ledger."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kyc_check = models.OneToOneField(KycCheck, null=True, on_delete=models.PROTECT, related_name="case")
    screening = models.OneToOneField(Screening, null=True, on_delete=models.PROTECT, related_name="case")
    escalation = models.OneToOneField(Escalation, null=True, on_delete=models.PROTECT, related_name="case")
    name_screening = models.OneToOneField(NameScreening, null=True, on_delete=models.PROTECT, related_name="case")
    payer_screening = models.OneToOneField(PayerScreening, null=True, on_delete=models.PROTECT, related_name="case")
    customer = models.ForeignKey(Customer, null=True, on_delete=models.PROTECT, related_name="cases")
    reason = models.CharField(max_length=500)
    priority = models.CharField(max_length=10, choices=CasePriority.choices, default=CasePriority.NORMAL)
    due_at = models.DateTimeField()
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="cases"
    )
    status = FSMField(default=CaseStatus.OPEN, choices=CaseStatus.choices)
    created_at = models.DateTimeField(db_default=Now())
    resolved_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["due_at", "id"], condition=~Q(status="resolved"), name="case_queue"),
            models.Index(fields=["status", "due_at", "id"], name="case_by_status"),
        ]
        constraints = [
            models.CheckConstraint(
                name="case_has_one_subject",
                condition=one_of("kyc_check", "screening", "escalation", "name_screening", "payer_screening"),
            )
        ]
        permissions = [
            ("work_case", "Can take a case and decide it"),
            ("approve_case", "Can approve another's decision"),
        ]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.reason

    @transition(field=status, source=CaseStatus.OPEN, target=CaseStatus.IN_PROGRESS)
    def take(self) -> None:
        """An officer works on it."""

    @transition(field=status, source=CaseStatus.IN_PROGRESS, target=CaseStatus.OPEN)
    def put_back(self) -> None:
        """Back into the queue."""

    @transition(field=status, source=CaseStatus.IN_PROGRESS, target=CaseStatus.AWAITING_APPROVAL)
    def propose(self) -> None:
        """Decided by one person; a second one has to agree."""

    @transition(field=status, source=CaseStatus.AWAITING_APPROVAL, target=CaseStatus.IN_PROGRESS)
    def send_back(self) -> None:
        """The second person does not agree, or the first one has thought better of it."""

    @transition(field=status, source=[CaseStatus.IN_PROGRESS, CaseStatus.AWAITING_APPROVAL], target=CaseStatus.RESOLVED)
    def resolve(self) -> None:
        """Decided, and carried out in the same commit."""


class CaseNote(models.Model):
    """What somebody wrote on a case. Append-only."""

    id = models.BigAutoField(primary_key=True)
    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="notes")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    text = models.TextField(max_length=4000)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ("view",)
        ordering = ["id"]

    def __str__(self) -> str:
        return self.text[:60]


class Decision(models.Model):
    """What a person decided on a case, why, and who agreed. Append-only.

    With a maker alone it is a proposal or, where one person suffices, the decision. The second person's answer is a
    row of its own that names the maker too, so that the database can hold the two apart.
    """

    id = models.BigAutoField(primary_key=True)
    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="decisions")
    verdict = models.CharField(max_length=12, choices=CaseVerdict.choices)
    reason = models.CharField(max_length=500)
    maker = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    checker = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    agreed = models.BooleanField(null=True, help_text="the checker's answer")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="decision_checker_is_not_the_maker", condition=Q(checker__isnull=True) | ~Q(checker=F("maker"))
            ),
            models.CheckConstraint(
                name="decision_checker_answers",
                condition=Q(checker__isnull=True, agreed__isnull=True) | Q(checker__isnull=False, agreed__isnull=False),
            ),
        ]
        default_permissions = ("view",)
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.verdict} by {self.maker_id}"


class InboundEvent(InboundEventBase):
    """What an identity provider told us."""

    class Meta(InboundEventBase.Meta):
        verbose_name = "message"
        indexes = [models.Index(fields=["next_at"], condition=Q(next_at__isnull=False), name="identity_event_due")]


class SelfAudit(models.Model):
    """What one look at all the books found, written when it was done. Append-only; one that died left no row."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    asked_by = models.ForeignKey(Principal, on_delete=models.PROTECT, related_name="+", db_index=False)
    began_at = models.DateTimeField()
    ended_at = models.DateTimeField(db_default=Now())
    complete = models.BooleanField(help_text="every check could be read")
    failing = models.PositiveIntegerField(help_text="checks with findings")
    results = models.JSONField(
        encoder=DjangoJSONEncoder, help_text="[{app, check, title, holds, unread, figures, offending}]"
    )

    class Meta:
        verbose_name = "self-audit"
        permissions = [("ask_self_audit", "Can have the books audited now")]
        default_permissions = ("view",)
        ordering = ["-id"]

    def __str__(self) -> str:
        found = f"{self.failing} with findings" if self.failing else "all hold"
        return found if self.complete else f"{found}, not all could be read"


class StateChange(StateChangeBase):
    class Meta(StateChangeBase.Meta):
        indexes = [models.Index(fields=["subject_id", "id"], name="compliance_change_by_subject")]
