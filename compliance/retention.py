"""What of compliance may go: never a decision, nor what it was made by (docs/operations.md)."""

from wallet_project.utils.retention import Expiring, inbound_messages

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
    inbound_messages(name="identity_messages", sender="identity provider", table="compliance_inboundevent"),
    Expiring(
        name="backtest_reports",
        title="reports of backtests",
        table="compliance_backtest",
        moment="ended_at",
        condition="t.report IS NOT NULL",
        blank=("report", "NULL"),
    ),
]
