"""What came of looking for customers on the lists."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django_fsm import FSMField, transition

from accounts.models import Customer, ProfileVersion
from compliance.models.lists import ListVersion, SanctionsEntry
from compliance.states import NameScreeningCause, NameScreeningStatus
from wallet_project.utils.ids import uuid7


class NameScreening(models.Model):
    """One look for one profile of a customer on the lists in force. Born clear when nothing new was found.

    `asked` is the query, so that the look can be repeated; `asked_hash` tells whether the customer's side has changed.
    """

    #: Without a match there is nothing for anybody to decide.
    BORN = (NameScreeningStatus.CLEAR, NameScreeningStatus.IN_REVIEW)

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="name_screenings")
    profile = models.ForeignKey(ProfileVersion, on_delete=models.PROTECT, related_name="name_screenings")
    cause = models.CharField(max_length=8, choices=NameScreeningCause.choices)
    asked = models.JSONField()
    asked_hash = models.BinaryField(max_length=32)
    versions = models.JSONField(help_text="ids of the versions of lists that were looked at")
    threshold = models.PositiveSmallIntegerField(help_text="the score from which on a match counts")
    status = FSMField(default=NameScreeningStatus.CLEAR, choices=NameScreeningStatus.choices)
    created_at = models.DateTimeField(db_default=Now())
    decided_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["customer"], condition=Q(status="in_review"), name="name_screening_waits"),
        ]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"name screening of {self.customer_id}"

    @transition(field=status, source=NameScreeningStatus.IN_REVIEW, target=NameScreeningStatus.CLEARED)
    def clear(self) -> None:
        """It is somebody else, a person decided; the pairs are remembered until either side changes."""

    @transition(field=status, source=NameScreeningStatus.IN_REVIEW, target=NameScreeningStatus.CONFIRMED)
    def confirm(self) -> None:
        """It is who is on the list."""

    @transition(field=status, source=NameScreeningStatus.IN_REVIEW, target=NameScreeningStatus.OUTDATED)
    def outdate(self) -> None:
        """The customer has changed what was matched; that was looked for anew."""


class NameMatch(models.Model):
    """A customer, as he described himself, and an entry of a list, as it was: looked at by a person once.

    A row is either with an open case, or cleared, or confirmed, by its screening's status; the same pair makes no
    second row until one of the two sides is another.
    """

    id = models.BigAutoField(primary_key=True)
    screening = models.ForeignKey(NameScreening, on_delete=models.PROTECT, related_name="matches")
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="+", db_index=False)
    asked_hash = models.BinaryField(max_length=32)
    entry = models.ForeignKey(SanctionsEntry, on_delete=models.PROTECT, related_name="+")
    version = models.ForeignKey(ListVersion, on_delete=models.PROTECT, related_name="+", db_index=False)
    score = models.PositiveSmallIntegerField()
    explanation = models.JSONField(
        help_text="which words of the two names met with which score, what raised or lowered it"
    )

    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["customer", "asked_hash", "entry"], name="name_match_looked_at_once")
        ]
        default_permissions = ("view",)
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.score} with entry {self.entry_id}"


class Rescreening(models.Model):
    """All customers looked for on a version that came into force; the row is the queue, and `cursor` says how far
    it has come."""

    id = models.BigAutoField(primary_key=True)
    version = models.ForeignKey(ListVersion, on_delete=models.PROTECT, related_name="rescreenings")
    #: None: nothing was in force before, and the whole of the version is new.
    since = models.ForeignKey(ListVersion, null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    cursor = models.UUIDField(null=True, help_text="the last customer who was looked for")
    screened = models.PositiveBigIntegerField(default=0)
    matched = models.PositiveBigIntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now())
    moved_at = models.DateTimeField(db_default=Now(), help_text="when the last customers were looked for")
    done_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["id"], condition=Q(done_at__isnull=True), name="rescreening_under_way")]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"all customers against {self.version}"
