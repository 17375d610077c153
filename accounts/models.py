"""People and their accounts. The two balances are a projection of the ledger: only its posting functions write them."""

from collections.abc import Iterable
from typing import Any, ClassVar

from django.contrib.auth.base_user import BaseUserManager
from django.contrib.auth.models import AbstractUser
from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.functions import Now
from django_fsm import FSMField, transition

from accounts.states import AccountKind, AccountStatus, KycStatus, PrincipalKind, SystemPurpose
from wallet_project.utils.ids import uuid7
from wallet_project.utils.transitions import StateChangeBase


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save()
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


class User(AbstractUser):
    """Somebody who can log in: a customer or a member of staff. E-mail is the name."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    username = None  # type: ignore[assignment]
    email = models.EmailField("e-mail", unique=True)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    objects: ClassVar[UserManager] = UserManager()  # type: ignore[assignment]

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Whoever can log in can act, so the principal is born with the user."""
        adding = self._state.adding
        with transaction.atomic():
            super().save(*args, **kwargs)
            if adding:
                Principal.objects.create(kind=PrincipalKind.USER, user=self)


class Principal(models.Model):
    """Whoever acts: the initiator of everything, and the owner of idempotency keys."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=10, choices=PrincipalKind.choices)
    user = models.OneToOneField(User, null=True, on_delete=models.PROTECT, related_name="principal")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="principal_user_has_a_user",
                condition=Q(kind=PrincipalKind.USER, user__isnull=False)
                | (~Q(kind=PrincipalKind.USER) & Q(user__isnull=True)),
            )
        ]

    def __str__(self) -> str:
        return self.user.email if self.user else self.kind


class IdempotencyClaim(models.Model):
    """A key that a principal has used, written in the same commit as what it made."""

    id = models.BigAutoField(primary_key=True)
    principal = models.ForeignKey(Principal, on_delete=models.PROTECT, db_index=False, related_name="+")
    key = models.CharField(max_length=255)
    operation = models.CharField(max_length=40)
    request_hash = models.BinaryField(max_length=32)
    result_id = models.UUIDField(help_text="what it made: an account, or a transaction's unit")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["principal", "key"], name="idempotency_key_used_once")]
        default_permissions = ("view",)


class Customer(models.Model):
    """One person, however many accounts; the customer's id is what correlates them."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.OneToOneField(User, on_delete=models.PROTECT, related_name="customer")
    kyc_status = FSMField(default=KycStatus.UNVERIFIED, choices=KycStatus.choices)
    kyc_reason = models.CharField(max_length=200, blank=True, help_text="why, in words the customer may see")
    profile = models.ForeignKey(
        "ProfileVersion", null=True, blank=True, on_delete=models.PROTECT, related_name="+", help_text="the current one"
    )
    verified_profile = models.ForeignKey(
        "ProfileVersion",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="last one verified",
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        indexes = [
            # What the identity check's sweep asks for: customers that wait.
            models.Index(fields=["id"], condition=Q(kyc_status=KycStatus.PENDING), name="customer_kyc_pending")
        ]
        permissions = [("restart_verification", "Can have a customer's identity checked again")]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.profile.first_name} {self.profile.last_name}" if self.profile else str(self.user)

    @transition(
        field=kyc_status,
        source=[KycStatus.UNVERIFIED, KycStatus.VERIFIED, KycStatus.EXPIRED, KycStatus.REJECTED],
        target=KycStatus.PENDING,
    )
    def request_verification(self) -> None:
        self.kyc_reason = ""

    @transition(field=kyc_status, source=KycStatus.PENDING, target=KycStatus.VERIFIED)
    def verify(self) -> None:
        self.kyc_reason = ""

    @transition(field=kyc_status, source=KycStatus.PENDING, target=KycStatus.REJECTED)
    def reject(self) -> None:
        """The reason is set by the use case."""

    @transition(field=kyc_status, source=KycStatus.VERIFIED, target=KycStatus.EXPIRED)
    def expire(self) -> None:
        """The verification is too old to rely on."""


class ProfileVersion(models.Model):
    """What a customer said about himself, once; never changed, only followed by the next version."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="profiles", db_index=False)
    number = models.PositiveIntegerField()
    first_name = models.CharField(max_length=100)
    last_name = models.CharField(max_length=100)
    date_of_birth = models.DateField()
    country = models.CharField(max_length=2, help_text="ISO 3166-1 alpha-2")
    address = models.CharField(max_length=300)
    document_type = models.CharField(max_length=20)
    document_number = models.CharField(max_length=50)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["customer", "number"], name="profile_version_number_unique")]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.first_name} {self.last_name} (version {self.number})"


class Account(models.Model):
    """Money of one customer, or of the wallet itself, in one currency. Amounts are minor units."""

    #: All that the application may change of an account; the balances are a projection of the ledger's rows.
    CHANGEABLE = ("label", "status", "status_reason")
    #: The wallet's own accounts have nobody to ask for them.
    BORN = (AccountStatus.OPEN,)

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=10, choices=AccountKind.choices, default=AccountKind.CUSTOMER)
    purpose = models.CharField(max_length=12, choices=SystemPurpose.choices, blank=True)
    customer = models.ForeignKey(
        Customer, null=True, blank=True, on_delete=models.PROTECT, related_name="accounts", db_index=False
    )
    currency = models.CharField(max_length=3)
    label = models.CharField(max_length=60, blank=True)
    status = FSMField(default=AccountStatus.REQUESTED, choices=AccountStatus.choices)
    status_reason = models.CharField(max_length=200, blank=True, help_text="why, in words the customer may see")
    cleared = models.BigIntegerField(default=0, editable=False, help_text="credits − debits, cleared; minor units")
    reserved = models.BigIntegerField(default=0, editable=False, help_text="pending debits; minor units")
    last_sequence = models.BigIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        indexes = [models.Index(fields=["customer", "id"], name="account_by_customer")]
        constraints = [
            # The target of the ledger's composite keys: a transaction's accounts have its currency.
            models.UniqueConstraint(fields=["id", "currency"], name="account_id_and_currency"),
            models.UniqueConstraint(
                fields=["purpose", "currency"], condition=Q(kind="system"), name="account_one_of_a_purpose_per_currency"
            ),
            models.CheckConstraint(
                name="account_belongs_to_a_customer_or_has_a_purpose",
                condition=Q(kind="customer", customer__isnull=False, purpose="")
                | (Q(kind="system", customer__isnull=True) & ~Q(purpose="")),
            ),
            models.CheckConstraint(name="account_cleared_not_negative", condition=Q(kind="system") | Q(cleared__gte=0)),
            models.CheckConstraint(name="account_reserved_not_negative", condition=Q(reserved__gte=0)),
            models.CheckConstraint(
                name="account_available_not_negative", condition=Q(kind="system") | Q(reserved__lte=F("cleared"))
            ),
            models.CheckConstraint(
                name="account_of_the_wallet_reserves_nothing", condition=Q(kind="customer") | Q(reserved=0)
            ),
        ]
        permissions = [("freeze_account", "Can freeze and unfreeze accounts")]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.purpose or self.label or self.kind} {self.currency}"

    def save(self, *args: Any, update_fields: Iterable[str] | None = None, **kwargs: Any) -> None:
        """Leave the balances out: a stale object must never undo a posting."""
        if not self._state.adding and update_fields is None:
            update_fields = self.CHANGEABLE
        super().save(*args, update_fields=update_fields, **kwargs)

    @property
    def available(self) -> int:
        """What may be spent now: cleared money less what pending debits have reserved, in minor units."""
        return self.cleared - self.reserved

    @transition(field=status, source=AccountStatus.REQUESTED, target=AccountStatus.OPEN)
    def open(self) -> None:
        self.status_reason = ""

    @transition(field=status, source=AccountStatus.REQUESTED, target=AccountStatus.REJECTED)
    def reject(self) -> None:
        """The reason is set by the use case."""

    @transition(field=status, source=AccountStatus.OPEN, target=AccountStatus.FROZEN)
    def freeze(self) -> None:
        """Nothing goes out; what comes in is kept."""

    @transition(field=status, source=AccountStatus.FROZEN, target=AccountStatus.OPEN)
    def unfreeze(self) -> None:
        self.status_reason = ""

    @transition(field=status, source=[AccountStatus.OPEN, AccountStatus.FROZEN], target=AccountStatus.CLOSED)
    def close(self) -> None:
        """Only at zero balance with nothing pending; the use case sees to it."""


class StateChange(StateChangeBase):
    class Meta(StateChangeBase.Meta):
        indexes = [models.Index(fields=["subject_id", "id"], name="accounts_change_by_subject")]
