"""Who acts, and who the customers are."""

from typing import Any, ClassVar

from django.contrib.auth.base_user import BaseUserManager
from django.contrib.auth.models import AbstractUser
from django.db import models, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django_fsm import FSMField, transition

from accounts.states import KycStatus, PrincipalKind
from wallet_project.utils.ids import uuid7


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
    # The trigger key_has_its_principal stands in for the key.
    principal = models.ForeignKey(
        Principal, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
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
    verified_until = models.DateTimeField(
        null=True, blank=True, help_text="when the identity is checked again; null: not verified, or for good"
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        indexes = [
            # What the identity check's sweep asks for: customers that wait.
            models.Index(fields=["id"], condition=Q(kyc_status=KycStatus.PENDING), name="customer_kyc_pending"),
            # And those whose verification has grown old.
            models.Index(
                fields=["verified_until"], condition=Q(kyc_status=KycStatus.VERIFIED), name="customer_kyc_grows_old"
            ),
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
