"""What of compliance may go: never a decision, nor what it was made by (docs/operations.md)."""

from wallet_project.utils.retention import Expiring

EXPIRING = [
    # What the provider said of a customer as he is now says why he may have an account: the newest check keeps it.
    Expiring(
        name="identity_answers",
        title="what the identity provider said in a check that a later one stands in for, raw",
        table="compliance_kyccheck",
        moment="decided_at",
        condition="""t.answers <> '[]' AND t.status IN ('approved', 'rejected') AND EXISTS (
            SELECT FROM compliance_kyccheck later
            WHERE later.customer_id = t.customer_id AND later.id > t.id AND later.status = 'approved')""",
        blank=("answers", "'[]'"),
    ),
    Expiring(
        name="identity_messages",
        title="what the identity provider told us, raw, and was acted on",
        table="compliance_inboundevent",
        key_type="bigint",
        moment="processed_at",
        condition="t.next_at IS NULL AND t.payload <> '{}'",
        blank=("payload", "'{}'"),
        sealed=True,
    ),
    Expiring(
        name="backtest_reports",
        title="reports of backtests",
        table="compliance_backtest",
        moment="ended_at",
        condition="t.report IS NOT NULL",
        blank=("report", "NULL"),
    ),
]
