"""What others tell us: stored raw and once, before anything acts on it."""

from django.db import models
from django.db.models.functions import Now


class InboundEventBase(models.Model):
    """One message as it came in, unique by its sender's id. The row is the queue: due while `next_at` is set."""

    id = models.BigAutoField(primary_key=True)
    event_id = models.CharField(max_length=128, unique=True)
    kind = models.CharField(max_length=64)
    payload = models.JSONField()
    received_at = models.DateTimeField(db_default=Now())
    next_at = models.DateTimeField(null=True, db_default=Now(), help_text="null once acted on, or given to a human")
    attempts = models.PositiveIntegerField(default=0)
    processed_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=500, blank=True)

    class Meta:
        abstract = True
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.kind} {self.event_id}"
