"""The states of money: transactions, the work that waits on them, what was asked of a bank, what needs a human."""

from django.db.models import TextChoices


class TransactionKind(TextChoices):
    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    TRANSFER = "transfer"
    FEE = "fee"
    REVERSAL = "reversal"
    ADJUSTMENT = "adjustment"
    EXCHANGE = "exchange"


class TransactionStatus(TextChoices):
    PENDING = "pending"
    CLEARED = "cleared"
    FAILED = "failed"


class Direction(TextChoices):
    """As seen from the account: a debit takes from it, a credit adds to it."""

    DEBIT = "debit"
    CREDIT = "credit"


class Stage(TextChoices):
    """What a pending unit waits for."""

    SCREENING = "screening", "to be screened"
    REVIEW = "review", "an officer's decision"
    HELD = "held", "its payee's capture"
    SETTLING = "settling", "the bank's word"
    PAYER = "payer", "its payer to be looked for"
    CLEARING = "clearing", "to be posted"
    PARKED = "parked", "a human, see its escalation"


class RailDirection(TextChoices):
    COLLECTION = "collection", "money in"
    PAYOUT = "payout", "money out"


class RailStatus(TextChoices):
    """`submitted` is the point of no return: the bank may have it, so only the bank's word ends it."""

    QUEUED = "queued"
    SUBMITTED = "submitted"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


class EscalationKind(TextChoices):
    RAIL_EXHAUSTED = "rail_exhausted", "the bank has not answered after the last try"
    RAIL_REFUSED = "rail_refused", "the bank refused our request, or spoke of another"
    UNMATCHED_MONEY = "unmatched_money", "money arrived that nobody expected"
    POISONED_UNIT = "poisoned_unit", "this transaction can't be posted"
    FROZEN_ACCOUNT = "frozen_account", "the paying account was frozen before clearing"
    EVENT_FAILED = "event_failed", "a message from the bank could not be acted on"
    AUDIT_FINDING = "audit_finding", "the self-audit found the books to be wrong"
    PAYER_NAMED_LATE = "payer_named_late", "the bank named a payer when his deposit had ended"
    LIST_OLD = "list_old", "a list of names has grown old"


class EscalationStatus(TextChoices):
    OPEN = "open"
    RESOLVED = "resolved"


class AdjustmentKind(TextChoices):
    """What staff can ask for, and a second person agrees to."""

    CORRECTION = "correction", "correction of the books"
    REVERSAL = "reversal", "reversal of a transaction"
    LOSS = "loss", "reversal at the wallet's loss"
    ASSIGN = "assign", "money in suspense, to whom it belongs"
    RETURN = "return", "money in suspense, back to its sender"
    CHARGE = "charge", "what the bank paid out otherwise than asked"


class AdjustmentStatus(TextChoices):
    PROPOSED = "proposed"
    POSTED = "posted"
    REFUSED = "refused", "refused by the ledger"
    DECLINED = "declined", "declined by the second person"
    WITHDRAWN = "withdrawn", "withdrawn by who proposed it"


class LimitScope(TextChoices):
    ACCOUNT = "account"
    CUSTOMER = "customer"
    LEVEL = "level"


class LimitDirection(TextChoices):
    """`out` is reserved with the funds, `in` is applied when it clears."""

    OUT = "out", "outgoing"
    IN = "in", "incoming"
