"""The states of decisions."""

from django.db.models import TextChoices


class CheckStatus(TextChoices):
    """Of an identity check (KYC) and of a transaction's screening (KYT)."""

    QUEUED = "queued"
    RUNNING = "running"
    APPROVED = "approved"
    REJECTED = "rejected"
    IN_REVIEW = "in_review", "in review"


class CaseStatus(TextChoices):
    OPEN = "open"
    IN_PROGRESS = "in_progress", "in progress"
    AWAITING_APPROVAL = "awaiting_approval", "awaiting approval"
    RESOLVED = "resolved"


class CasePriority(TextChoices):
    NORMAL = "normal"
    HIGH = "high"


class Verdict(TextChoices):
    """What a rule, a provider or a person says."""

    APPROVE = "approve"
    REVIEW = "review"
    REJECT = "reject"


class CaseVerdict(TextChoices):
    """What a person decides on a case. The last three are for escalations; an identity check may be tried again too."""

    APPROVE = "approve"
    REJECT = "reject"
    RETRY = "retry", "try again"
    FAIL = "fail", "fail the transaction"
    ACKNOWLEDGE = "acknowledge", "seen to"
