"""Limits of accounts and customers, and how much of them is used; only the functions in ledger/sql write them."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from ledger.states import LimitDirection, LimitScope


class Limit(models.Model):
    """What may leave or reach one account, or all accounts of one customer, in one currency. Minor units; null: any.
    Of a customer's two limits, that of staff and that of his level, the tighter holds; both count by the same rows."""

    #: The scopes that a row has: what a level allows stands in its customer's row.
    OWNERS = ((LimitScope.ACCOUNT.value, "Account"), (LimitScope.CUSTOMER.value, "Customer"))

    id = models.BigAutoField(primary_key=True)
    owner_id = models.UUIDField(help_text="of the account or the customer")
    scope = models.CharField(max_length=8, choices=OWNERS)
    direction = models.CharField(max_length=3, choices=LimitDirection.choices)
    currency = models.CharField(max_length=3)
    per_transaction = models.BigIntegerField(null=True)
    per_day = models.BigIntegerField(null=True, help_text="a calendar day in UTC")
    per_30_days = models.BigIntegerField(null=True, help_text="today and the 29 days before")
    level_per_transaction = models.BigIntegerField(null=True, help_text="these three: by the customer's level")
    level_per_day = models.BigIntegerField(null=True)
    level_per_30_days = models.BigIntegerField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner_id", "direction", "currency"], name="limit_one_of_an_owner"),
            models.CheckConstraint(
                name="limit_limits_something",
                condition=Q(per_transaction__isnull=False)
                | Q(per_day__isnull=False)
                | Q(per_30_days__isnull=False)
                | Q(level_per_transaction__isnull=False)
                | Q(level_per_day__isnull=False)
                | Q(level_per_30_days__isnull=False),
            ),
            models.CheckConstraint(
                name="limit_not_negative",
                condition=(Q(per_transaction__isnull=True) | Q(per_transaction__gte=0))
                & (Q(per_day__isnull=True) | Q(per_day__gte=0))
                & (Q(per_30_days__isnull=True) | Q(per_30_days__gte=0))
                & (Q(level_per_transaction__isnull=True) | Q(level_per_transaction__gte=0))
                & (Q(level_per_day__isnull=True) | Q(level_per_day__gte=0))
                & (Q(level_per_30_days__isnull=True) | Q(level_per_30_days__gte=0)),
            ),
            models.CheckConstraint(
                name="limit_of_a_level_is_for_what_a_customer_sends",
                condition=Q(scope="customer", direction="out")
                | Q(level_per_transaction=None, level_per_day=None, level_per_30_days=None),
            ),
        ]
        permissions = [("set_limit", "Can set limits of accounts and customers")]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.get_direction_display()} of {self.scope} {self.owner_id}, {self.currency}"


class Usage(models.Model):
    """What counts towards an owner's limit on one day (UTC); kept while the limit is set, and nowhere else."""

    id = models.BigAutoField(primary_key=True)
    owner_id = models.UUIDField()
    direction = models.CharField(max_length=3, choices=LimitDirection.choices)
    currency = models.CharField(max_length=3)
    day = models.DateField()
    amount = models.BigIntegerField(help_text="minor units")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner_id", "direction", "currency", "day"], name="usage_one_a_day"),
            models.CheckConstraint(name="usage_not_negative", condition=Q(amount__gte=0)),
        ]
        default_permissions = ("view",)
        verbose_name = "use of a limit"
        verbose_name_plural = "use of limits"

    def __str__(self) -> str:
        return f"{self.amount} {self.currency} on {self.day}"


class LimitChange(models.Model):
    """Who set which limit, and why. Never changed, never removed."""

    id = models.BigAutoField(primary_key=True)
    owner_id = models.UUIDField()
    scope = models.CharField(max_length=8, choices=LimitScope.choices)
    direction = models.CharField(max_length=3, choices=LimitDirection.choices)
    currency = models.CharField(max_length=3)
    per_transaction = models.BigIntegerField(null=True)
    per_day = models.BigIntegerField(null=True)
    per_30_days = models.BigIntegerField(null=True)
    actor_id = models.UUIDField(help_text="the principal")
    reason = models.CharField(max_length=500)
    request_id = models.CharField(max_length=64, blank=True)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index(fields=["owner_id", "id"], name="limit_change_by_owner")]
        constraints = [models.CheckConstraint(name="limit_change_has_a_reason", condition=~Q(reason=""))]
        default_permissions = ("view",)
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.direction} of {self.scope} {self.owner_id}, {self.at}"
