"""What came of looking for customers on the lists."""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django_fsm import FSMField, transition

from accounts.models import Customer, ProfileVersion
from compliance.models.lists import ListVersion, SanctionsEntry
from compliance.states import NameScreeningCause, NameScreeningStatus, PayerScreeningStatus
from ledger.models import Escalation, Transaction
from wallet_project.utils.ids import uuid7
from wallet_project.utils.model_fields import one_of


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
            models.Index(
                fields=["customer"], condition=Q(status__in=["in_review", "confirmed"]), name="name_screening_stops"
            ),
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


class PayerScreening(models.Model):
    """One look on the lists for who has paid money in, as the bank names him: of a deposit before it is posted, or of
    what an escalation asks staff about, such as money that nobody expected."""

    #: Where nothing was found, or where somebody looks anyway, there is nothing to decide.
    BORN = (PayerScreeningStatus.CLEAR, PayerScreeningStatus.SHOWN, PayerScreeningStatus.IN_REVIEW)

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    transaction = models.OneToOneField(
        Transaction, null=True, on_delete=models.PROTECT, related_name="payer_screening", help_text="the deposit"
    )
    escalation = models.OneToOneField(Escalation, null=True, on_delete=models.PROTECT, related_name="payer_screening")
    asked = models.JSONField(help_text="name, iban and country")
    versions = models.JSONField(null=True, help_text="ids of the versions that were looked at; null: unreadable")
    threshold = models.PositiveSmallIntegerField(help_text="the score from which on a match counts")
    status = FSMField(default=PayerScreeningStatus.CLEAR, choices=PayerScreeningStatus.choices)
    created_at = models.DateTimeField(db_default=Now())
    decided_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="payer_screening_has_one_subject",
                condition=one_of("transaction", "escalation"),
            )
        ]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"payer of {self.transaction_id or self.escalation_id}"

    @transition(field=status, source=PayerScreeningStatus.IN_REVIEW, target=PayerScreeningStatus.LET_THROUGH)
    def let_through(self) -> None:
        """It is somebody else, an officer decided; the pairs are remembered until either side changes."""

    @transition(field=status, source=PayerScreeningStatus.IN_REVIEW, target=PayerScreeningStatus.REFUSED)
    def refuse(self) -> None:
        """What he paid is not posted, an officer decided; or it ended before anybody had."""


class DestinationMatch(models.Model):
    """Whom a payout goes to, as its customer described him, or who has paid in, as the bank names him, and an entry of
    a list, as both were then."""

    id = models.BigAutoField(primary_key=True)
    screening = models.ForeignKey(
        "compliance.Screening", null=True, on_delete=models.PROTECT, related_name="matches", help_text="of a payout"
    )
    payer_screening = models.ForeignKey(PayerScreening, null=True, on_delete=models.PROTECT, related_name="matches")
    asked_hash = models.BinaryField(max_length=32, db_index=True, help_text="of the name and the IBAN")
    entry = models.ForeignKey(SanctionsEntry, on_delete=models.PROTECT, related_name="+", db_index=False)
    version = models.ForeignKey(ListVersion, on_delete=models.PROTECT, related_name="+", db_index=False)
    score = models.PositiveSmallIntegerField()
    explanation = models.JSONField(
        help_text="which words of the two names met with which score, what raised or lowered it"
    )
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="destination_match_has_one_subject",
                condition=one_of("screening", "payer_screening"),
            )
        ]
        default_permissions = ("view",)
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.score} with entry {self.entry_id}"


class NameTokens(models.Model):
    """By what a customer's name is found when a list changes (compliance/names/blocking.py): nothing but numbers made
    of the profile, kept so that the database can look them up for all customers at once."""

    customer = models.OneToOneField(Customer, primary_key=True, on_delete=models.PROTECT, related_name="+")
    profile_number = models.PositiveIntegerField(help_text="the version of the profile that they were made of")
    made_by = models.PositiveSmallIntegerField(help_text="the making of tokens that made them")
    tokens = ArrayField(models.IntegerField())

    class Meta:
        # What is not sorted in yet is read by each lookup, which takes fifty times as long.
        indexes = [GinIndex(fields=["tokens"], name="name_tokens", fastupdate=False)]
        default_permissions = ()

    def __str__(self) -> str:
        return f"tokens of {self.customer_id}"


class Rescreening(models.Model):
    """All customers looked for on a version that came into force; the row is the queue.

    It goes three ways one after the other, and `cursor` or `entry_cursor` says how far it has come on each: the names
    of all customers are made ready (most are), what came with the version is looked up among them, and who may be
    meant is searched for in full.
    """

    id = models.BigAutoField(primary_key=True)
    version = models.ForeignKey(ListVersion, on_delete=models.PROTECT, related_name="rescreenings")
    #: None: nothing was in force before, and the whole of the version is new.
    since = models.ForeignKey(ListVersion, null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    made_by = models.PositiveSmallIntegerField(default=0, help_text="the making of tokens that it goes by")
    cursor = models.UUIDField(null=True, help_text="the last customer who was dealt with")
    prepared_at = models.DateTimeField(null=True, help_text="when all names were ready")
    entry_cursor = models.BigIntegerField(default=0, help_text="the last entry that was looked up among them")
    looked_up_at = models.DateTimeField(null=True, help_text="when it was known who may be meant")
    screened = models.PositiveBigIntegerField(default=0, help_text="customers whose names were looked at")
    candidates = models.PositiveBigIntegerField(default=0, help_text="those who were searched for in full")
    matched = models.PositiveBigIntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now())
    moved_at = models.DateTimeField(db_default=Now(), help_text="when it last went on")
    done_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["id"], condition=Q(done_at__isnull=True), name="rescreening_under_way")]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"all customers against {self.version}"


class RescreeningCandidate(models.Model):
    """A customer who shares a token with what came with a version; gone when he was searched for."""

    id = models.BigAutoField(primary_key=True)
    rescreening = models.ForeignKey(Rescreening, on_delete=models.PROTECT, related_name="+", db_index=False)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="+", db_index=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rescreening", "customer"], name="rescreening_candidate_once")]
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.customer_id} for {self.rescreening_id}"
