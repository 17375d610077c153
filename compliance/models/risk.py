"""How much risk a customer is: what counts how much, version by version, and what came of it when."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django_fsm import FSMField, transition

from accounts.models import Customer, Principal
from compliance.states import RiskBand, RiskWeightsStatus
from wallet_project.utils.ids import uuid7


class RiskWeights(models.Model):
    """What counts how much. What stands in it never changes, only its status."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    number = models.PositiveIntegerField(unique=True)
    weights = models.JSONField(help_text="compliance/risk.py has the form; docs/kyc.md says what each means")
    status = FSMField(default=RiskWeightsStatus.DRAFT, choices=RiskWeightsStatus.choices)
    author = models.ForeignKey(Principal, on_delete=models.PROTECT, related_name="+", db_index=False)
    reason = models.CharField(max_length=500)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = "version of the risk weights"
        verbose_name_plural = "risk weights"
        constraints = [
            models.UniqueConstraint(fields=["status"], condition=Q(status="active"), name="risk_weights_one_in_force")
        ]
        permissions = [
            ("edit_risk", "Can draft what counts how much for a customer's risk"),
            ("approve_risk", "Can bring another's draft of the risk weights into force"),
        ]
        default_permissions = ("view",)
        ordering = ["-number"]

    def __str__(self) -> str:
        return f"version {self.number}"

    @transition(field=status, source=RiskWeightsStatus.DRAFT, target=RiskWeightsStatus.ACTIVE)
    def activate(self) -> None:
        """A second person wants it; the version that was in force retires in the same commit."""

    @transition(
        field=status,
        source=[RiskWeightsStatus.DRAFT, RiskWeightsStatus.ACTIVE],
        target=RiskWeightsStatus.RETIRED,
    )
    def retire(self) -> None:
        """Another one took its place, or a draft was given up."""


class RiskAgreement(models.Model):
    """Who brought a version into force, beside its author. Append-only."""

    id = models.BigAutoField(primary_key=True)
    weights = models.OneToOneField(RiskWeights, on_delete=models.PROTECT, related_name="agreement")
    maker = models.ForeignKey(Principal, on_delete=models.PROTECT, related_name="+", db_index=False)
    checker = models.ForeignKey(Principal, on_delete=models.PROTECT, related_name="+", db_index=False)
    reason = models.CharField(max_length=500)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.CheckConstraint(name="risk_checker_is_not_the_maker", condition=~Q(checker=F("maker")))]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.weights_id} by {self.checker_id}"


class Scored(models.Model):
    """What one version of the weights made of a customer."""

    weights = models.ForeignKey(RiskWeights, null=True, on_delete=models.PROTECT, related_name="+")
    score = models.PositiveSmallIntegerField(default=0, help_text="of 100")
    band = models.CharField(max_length=6, choices=RiskBand.choices, default=RiskBand.LOW)
    parts = models.JSONField(default=list, help_text="[{part, points, because}], which add up to the score")

    class Meta:
        abstract = True
        default_permissions = ("view",)


class CustomerRisk(Scored):
    """A customer's risk now; without weights it is still to be found out. The row is the queue."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    customer = models.OneToOneField(Customer, on_delete=models.PROTECT, related_name="risk")
    next_at = models.DateTimeField(db_default=Now(), help_text="when it is found out again")

    class Meta(Scored.Meta):
        indexes = [models.Index(fields=["next_at"], name="customer_risk_due")]
        verbose_name = "customer's risk"

    def __str__(self) -> str:
        return f"{self.score} ({self.band})"


class RiskScore(Scored):
    """What it was from a time on. Append-only; a line where score, parts or weights were others than before."""

    id = models.BigAutoField(primary_key=True)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="+", db_index=False)
    created_at = models.DateTimeField(db_default=Now())

    class Meta(Scored.Meta):
        indexes = [models.Index(fields=["customer", "id"], name="risk_score_by_customer")]
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.score} ({self.band})"
