"""Rules of screening: their versions, what was in force when, who agreed to it, and trials on the past."""

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django_fsm import FSMField, transition

from accounts.models import Principal
from compliance.states import BacktestStatus, RuleAction, RuleChange, RuleStatus, RuleStep
from wallet_project.utils.ids import uuid7


class Rule(models.Model):
    """A name under which versions follow one another. Immutable."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.SlugField(max_length=60, unique=True, help_text="such as `many_debits`")
    description = models.CharField(max_length=500, help_text="what it is for, in plain words")
    created_by = models.ForeignKey(Principal, on_delete=models.PROTECT, related_name="+", db_index=False)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ("view",)
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name.replace("_", " ")


class RuleVersion(models.Model):
    """What a rule says. What stands in it never changes, only its status."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    rule = models.ForeignKey(Rule, on_delete=models.PROTECT, related_name="versions", db_index=False)
    number = models.PositiveIntegerField()
    expression = models.TextField(max_length=2_000, help_text="CEL over the facts of docs/screening.md")
    explanation = models.CharField(max_length=500, help_text="for staff, with expressions in braces")
    action = models.CharField(max_length=10, choices=RuleAction.choices)
    points = models.PositiveIntegerField(default=0, help_text="of a score")
    serious = models.BooleanField(
        default=False, help_text="its cases come first, and an approval needs a second person"
    )
    status = FSMField(default=RuleStatus.DRAFT, choices=RuleStatus.choices)
    author = models.ForeignKey(Principal, on_delete=models.PROTECT, related_name="+", db_index=False)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = "rule version"
        constraints = [
            models.UniqueConstraint(fields=["rule", "number"], name="rule_version_number_once"),
            models.UniqueConstraint(fields=["rule"], condition=Q(status="active"), name="rule_has_one_active_version"),
            models.CheckConstraint(
                name="rule_version_points_belong_to_a_score",
                condition=Q(action="score", points__gt=0) | (~Q(action="score") & Q(points=0)),
            ),
        ]
        indexes = [
            models.Index(fields=["id"], condition=Q(status__in=["active", "shadow"]), name="rule_version_running")
        ]
        permissions = [
            ("edit_rule", "Can draft rules, put them into shadow, try them on the past and propose changes"),
            ("approve_rule", "Can agree to what others propose for rules"),
        ]
        default_permissions = ("view",)
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.rule} {self.number}"

    @transition(field=status, source=RuleStatus.DRAFT, target=RuleStatus.SHADOW)
    def shadow(self) -> None:
        """It runs beside the others, without effect."""

    @transition(field=status, source=RuleStatus.SHADOW, target=RuleStatus.ACTIVE)
    def activate(self) -> None:
        """Two people want it; the version that was active retires in the same commit."""

    @transition(
        field=status,
        source=[RuleStatus.DRAFT, RuleStatus.SHADOW, RuleStatus.ACTIVE],
        target=RuleStatus.RETIRED,
    )
    def retire(self) -> None:
        """It is over; of an active one, two people want that."""


class RuleDecision(models.Model):
    """Who proposed that a version becomes active or ends, and who answered. Append-only.

    The answer is a row of its own that names the maker too, so that the database can hold the two apart.
    """

    id = models.BigAutoField(primary_key=True)
    version = models.ForeignKey(RuleVersion, on_delete=models.PROTECT, related_name="decisions")
    change = models.CharField(max_length=10, choices=RuleChange.choices)
    step = models.CharField(max_length=10, choices=RuleStep.choices)
    answers = models.OneToOneField(
        "self", null=True, on_delete=models.PROTECT, related_name="answer", help_text="the proposal"
    )
    maker = models.ForeignKey(Principal, on_delete=models.PROTECT, related_name="+", db_index=False)
    checker = models.ForeignKey(Principal, null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    reason = models.CharField(max_length=500)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = "decision on a rule"
        verbose_name_plural = "decisions on rules"
        constraints = [
            models.CheckConstraint(
                name="rule_checker_is_not_the_maker", condition=Q(checker__isnull=True) | ~Q(checker=F("maker"))
            ),
            models.CheckConstraint(
                name="rule_answer_has_its_people",
                condition=Q(step="proposed", answers__isnull=True, checker__isnull=True)
                | Q(step__in=["agreed", "declined"], answers__isnull=False, checker__isnull=False)
                | Q(step="withdrawn", answers__isnull=False, checker__isnull=True),
            ),
        ]
        default_permissions = ("view",)
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.get_change_display()} {self.version}: {self.step}"


class RulesRevision(models.Model):
    """Which versions were in force and in shadow from a moment on: the newest one is. Append-only.

    Workers ask for the newest before each batch; a screening names the one by which it was decided.
    """

    number = models.PositiveIntegerField(primary_key=True)
    active = models.JSONField(help_text="ids of versions")
    shadow = models.JSONField(help_text="ids of versions")
    made_by = models.ForeignKey(Principal, on_delete=models.PROTECT, related_name="+", db_index=False)
    made_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = "set of rules"
        verbose_name_plural = "sets of rules"
        default_permissions = ("view",)
        ordering = ["-number"]

    def __str__(self) -> str:
        return f"set of rules {self.number}"


class Backtest(models.Model):
    """A version tried on what was screened in a period. The row is the queue: a worker takes it up when it is due."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    version = models.ForeignKey(RuleVersion, on_delete=models.PROTECT, related_name="backtests", db_index=False)
    since = models.DateTimeField()
    until = models.DateTimeField(help_text="excluded")
    status = FSMField(default=BacktestStatus.QUEUED, choices=BacktestStatus.choices)
    asked_by = models.ForeignKey(Principal, on_delete=models.PROTECT, related_name="+", db_index=False)
    next_at = models.DateTimeField(null=True, db_default=Now(), help_text="null once it is over")
    lease_token = models.UUIDField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    replayed = models.PositiveBigIntegerField(default=0, help_text="transactions so far")
    report = models.JSONField(null=True, encoder=DjangoJSONEncoder)
    error = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(name="backtest_period_has_a_length", condition=Q(until__gt=F("since"))),
        ]
        indexes = [models.Index(fields=["next_at"], condition=Q(next_at__isnull=False), name="backtest_due")]
        default_permissions = ("view",)
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"backtest of {self.version}"

    @transition(field=status, source=BacktestStatus.QUEUED, target=BacktestStatus.RUNNING)
    def start(self) -> None:
        """A worker replays."""

    @transition(field=status, source=BacktestStatus.RUNNING, target=BacktestStatus.DONE)
    def finish(self) -> None:
        """The report is there."""

    @transition(field=status, source=[BacktestStatus.QUEUED, BacktestStatus.RUNNING], target=BacktestStatus.FAILED)
    def give_up(self) -> None:
        """It can't be done; `error` says why."""
