"""The states of decisions."""

from django.db.models import TextChoices


class CheckStatus(TextChoices):
    """Of an identity check (KYC)."""

    QUEUED = "queued"
    RUNNING = "running"
    APPROVED = "approved"
    REJECTED = "rejected"
    IN_REVIEW = "in_review", "in review"


#: Of a check that is not decided.
ACTIVE = (CheckStatus.QUEUED, CheckStatus.RUNNING, CheckStatus.IN_REVIEW)


class ScreeningStatus(TextChoices):
    """Of a transaction's screening (KYT), which is written once it was decided; what waits is the work item's."""

    APPROVED = "approved"
    REJECTED = "rejected"
    IN_REVIEW = "in_review", "in review"


class RiskBand(TextChoices):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class RiskWeightsStatus(TextChoices):
    DRAFT = "draft"
    ACTIVE = "active"
    RETIRED = "retired"


class DocumentKind(TextChoices):
    PASSPORT = "passport"
    ID_CARD = "id_card", "identity card"
    DRIVING_LICENCE = "driving_licence", "driving licence"
    RESIDENCE_PERMIT = "residence_permit", "residence permit"
    PROOF_OF_ADDRESS = "proof_of_address", "proof of address"
    SOURCE_OF_FUNDS = "source_of_funds", "source of funds"


class DocumentStatus(TextChoices):
    """Looked at is a document with the check that it was sent for."""

    RECEIVED = "received"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    EXPIRED = "expired"


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


class ListPurpose(TextChoices):
    """`sanctions` is the law's, `deny` and `allow` are the wallet's own."""

    SANCTIONS = "sanctions"
    DENY = "deny"
    ALLOW = "allow"


class ListVersionStatus(TextChoices):
    IMPORTED = "imported"
    ACTIVE = "active"
    RETIRED = "retired"


class ListVerdict(TextChoices):
    PROPOSE = "propose"
    ACTIVATE = "activate"
    DECLINE = "decline"
    WITHDRAW = "withdraw"


class ChangeKind(TextChoices):
    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


class EntrySubject(TextChoices):
    PERSON = "person"
    ORGANISATION = "organisation"
    VESSEL = "vessel"
    AIRCRAFT = "aircraft"
    UNKNOWN = "unknown"


class EntryNameKind(TextChoices):
    """`weak` is what the publisher itself calls too common to rely on."""

    PRIMARY = "primary"
    ALIAS = "alias"
    WEAK = "weak"


class NameScreeningCause(TextChoices):
    IDENTITY = "identity", "identity check"
    LIST = "list", "another version of a list"


class NameScreeningStatus(TextChoices):
    CLEAR = "clear"
    IN_REVIEW = "in_review", "in review"
    CLEARED = "cleared"
    CONFIRMED = "confirmed"
    OUTDATED = "outdated"


class PayerScreeningStatus(TextChoices):
    """`shown`: on the case of money that waits for staff anyway, who see what was found."""

    CLEAR = "clear"
    SHOWN = "shown", "shown on its case"
    IN_REVIEW = "in_review", "in review"
    LET_THROUGH = "let_through", "let through"
    REFUSED = "refused"


class RuleStatus(TextChoices):
    """Of a version of a rule. In shadow it runs, and what it says is kept, without effect."""

    DRAFT = "draft"
    SHADOW = "shadow", "in shadow"
    ACTIVE = "active"
    RETIRED = "retired"


class RuleAction(TextChoices):
    """What is done with a transaction that a rule speaks of. Points of several rules add up."""

    ALLOW = "allow"
    REVIEW = "review"
    REJECT = "reject"
    SCORE = "score"


class RuleChange(TextChoices):
    """What takes two people."""

    ACTIVATE = "activate"
    RETIRE = "retire"


class RuleStep(TextChoices):
    """Of a change that takes two people: the first one's word, and how it was answered."""

    PROPOSED = "proposed"
    AGREED = "agreed"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"


class BacktestStatus(TextChoices):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
