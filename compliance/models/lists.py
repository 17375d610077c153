"""Lists of people whom the wallet may not serve, or knows well, each in versions that stay as they were imported.

An entry's content is one row however many versions have it. What a version changed is kept with it, and what it holds
is, for each id of the list, the last change up to it: any old version can be read again as it was.
"""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django_fsm import FSMField, transition

from accounts.models import Principal
from compliance.states import ChangeKind, EntryNameKind, EntrySubject, ListPurpose, ListVerdict, ListVersionStatus
from wallet_project.utils.ids import uuid7


class SanctionsList(models.Model):
    """One list of one publisher; its versions come and go. Whoever brings one into force counts `activations` up,
    under the lock of this row."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=60, unique=True)
    format = models.CharField(max_length=20)
    purpose = models.CharField(max_length=10, choices=ListPurpose.choices)
    activations = models.PositiveIntegerField(default=0, help_text="how often a version came into force")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = "list"
        permissions = [
            ("activate_list", "Can activate a version of a list, or propose it"),
            ("approve_list", "Can confirm the activation that another proposed"),
        ]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.name


class ListVersion(models.Model):
    """What a list said when it was imported. Only its status moves."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    list = models.ForeignKey(SanctionsList, on_delete=models.PROTECT, related_name="imported", db_index=False)
    number = models.PositiveIntegerField()
    digest = models.CharField(max_length=64, help_text="SHA-256 over the entries, whatever their order in the file")
    entries = models.PositiveIntegerField()
    names = models.PositiveIntegerField()
    added = models.PositiveIntegerField()
    changed = models.PositiveIntegerField()
    removed = models.PositiveIntegerField()
    report = models.JSONField(help_text="how the files were read, each line accounted for")
    imported_by = models.ForeignKey(Principal, on_delete=models.PROTECT, related_name="+", db_index=False)
    imported_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField(db_default=Now(), help_text="when the list was last read and said this")
    status = FSMField(default=ListVersionStatus.IMPORTED, choices=ListVersionStatus.choices)
    activated_at = models.DateTimeField(null=True)
    retired_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["list", "number"], name="list_version_number_unique"),
            models.UniqueConstraint(fields=["list"], condition=Q(status="active"), name="list_has_one_active_version"),
        ]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"version {self.number} of {self.list}"

    @transition(
        field=status, source=[ListVersionStatus.IMPORTED, ListVersionStatus.RETIRED], target=ListVersionStatus.ACTIVE
    )
    def activate(self) -> None:
        """In force from this commit on; one that was retired may come back when its successor was a mistake."""

    @transition(field=status, source=ListVersionStatus.ACTIVE, target=ListVersionStatus.RETIRED)
    def retire(self) -> None:
        """Another version is in force."""


class SanctionsEntry(models.Model):
    """One person, organisation, vessel or aircraft as a list described it. What changed is another row."""

    id = models.BigAutoField(primary_key=True)
    list = models.ForeignKey(SanctionsList, on_delete=models.PROTECT, related_name="+", db_index=False)
    external_id = models.CharField(max_length=200, help_text="the publisher's")
    content_hash = models.BinaryField(max_length=32)
    subject = models.CharField(max_length=12, choices=EntrySubject.choices)
    birth_dates = ArrayField(models.CharField(max_length=10), help_text="ISO, as exact as the list is")
    countries = ArrayField(models.CharField(max_length=2), help_text="ISO 3166 alpha-2")
    gender = models.CharField(max_length=6, blank=True)
    details = models.JSONField(help_text="all else that the list says")

    class Meta:
        verbose_name = "list entry"
        verbose_name_plural = "list entries"
        constraints = [
            models.UniqueConstraint(fields=["list", "external_id", "content_hash"], name="list_entry_kept_once")
        ]
        indexes = [models.Index(fields=["external_id"], name="list_entry_by_external_id")]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.external_id} of {self.list}"


class SanctionsName(models.Model):
    """A name of an entry. `folded` is what a person's search begins with."""

    id = models.BigAutoField(primary_key=True)
    entry = models.ForeignKey(SanctionsEntry, on_delete=models.PROTECT, related_name="names")
    name = models.CharField(max_length=1000)
    kind = models.CharField(max_length=7, choices=EntryNameKind.choices)
    folded = models.CharField(max_length=40, help_text="the beginning, in lower case")

    class Meta:
        indexes = [models.Index(fields=["folded"], name="list_name_begins", opclasses=["varchar_pattern_ops"])]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.name


class ListChange(models.Model):
    """What one version changed about one id of its list: `entry` is what it says from then on, null when it is gone."""

    id = models.BigAutoField(primary_key=True)
    version = models.ForeignKey(ListVersion, on_delete=models.PROTECT, related_name="changes")
    external_id = models.CharField(max_length=200)
    kind = models.CharField(max_length=7, choices=ChangeKind.choices)
    entry = models.ForeignKey(SanctionsEntry, null=True, on_delete=models.PROTECT, related_name="+")
    before = models.ForeignKey(SanctionsEntry, null=True, on_delete=models.PROTECT, related_name="+", db_index=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="list_change_says_from_what_to_what",
                condition=Q(kind="added", entry__isnull=False, before__isnull=True)
                | Q(kind="changed", entry__isnull=False, before__isnull=False)
                | Q(kind="removed", entry__isnull=True, before__isnull=False),
            )
        ]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.kind} {self.external_id}"


class ListIndex(models.Model):
    """The names of a version made ready for matching: built once, read by every worker."""

    version = models.OneToOneField(ListVersion, primary_key=True, on_delete=models.PROTECT, related_name="index")
    content = models.BinaryField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"index of {self.version_id}"


class ListDecision(models.Model):
    """Who had a version activated, or proposed or declined that, and why. Append-only.

    `against` is the version that was in force at the time: what is proposed is one change, and if another came first,
    the proposal is void. `lost` is how many entries that one had and this one has not, or has in other words.
    """

    id = models.BigAutoField(primary_key=True)
    version = models.ForeignKey(ListVersion, on_delete=models.PROTECT, related_name="decisions")
    verdict = models.CharField(max_length=8, choices=ListVerdict.choices)
    reason = models.CharField(max_length=500)
    maker = models.ForeignKey(Principal, on_delete=models.PROTECT, related_name="+", db_index=False)
    checker = models.ForeignKey(Principal, null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    against = models.ForeignKey(ListVersion, null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    gained = models.PositiveIntegerField()
    lost = models.PositiveIntegerField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="list_checker_is_not_the_maker", condition=Q(checker__isnull=True) | ~Q(checker=F("maker"))
            ),
            models.CheckConstraint(
                name="list_decision_has_its_people",
                condition=Q(verdict="propose", checker__isnull=True)
                | Q(verdict="decline", checker__isnull=False)
                | Q(verdict__in=["activate", "withdraw"]),
            ),
        ]
        default_permissions = ("view",)
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.verdict} by {self.maker_id}"
