"""The states of customers and accounts."""

from django.db.models import TextChoices


class KycStatus(TextChoices):
    UNVERIFIED = "unverified"
    PENDING = "pending"
    VERIFIED = "verified"
    REJECTED = "rejected"
    EXPIRED = "expired"


class Level(TextChoices):
    """How much is known of a verified customer, and so how much he may move."""

    BASIC = "basic"
    FULL = "full"


class AccountStatus(TextChoices):
    REQUESTED = "requested"
    OPEN = "open"
    FROZEN = "frozen"
    REJECTED = "rejected"
    CLOSED = "closed"


class AccountKind(TextChoices):
    CUSTOMER = "customer"
    SYSTEM = "system"


class SystemPurpose(TextChoices):
    """What one of the wallet's own accounts is for; one of each per currency."""

    SETTLEMENT = "settlement", "money at the bank"
    FEES = "fees", "fees earned"
    SUSPENSE = "suspense", "money that nobody expected"
    FX = "fx", "currency exchange"
    LOSS = "loss", "losses borne by the wallet"


class PrincipalKind(TextChoices):
    USER = "user"
    CLIENT = "client"
    SYSTEM = "system"


class BeneficiaryStatus(TextChoices):
    KEPT = "kept"
    REMOVED = "removed"


class HandleStatus(TextChoices):
    HELD = "held"
    GIVEN_UP = "given_up"
