from django.urls import path

from ledger.views import accounts, holds, limits, payments, reads, reversals

urlpatterns = [
    path("deposits", payments.DepositsView.as_view(), name="deposits"),
    path("withdrawals", payments.WithdrawalsView.as_view(), name="withdrawals"),
    path("transfers", payments.TransfersView.as_view(), name="transfers"),
    path("transfers/bulk", payments.BulkTransfersView.as_view(), name="bulk-transfers"),
    path("groups", payments.GroupsView.as_view(), name="groups"),
    path("groups/<id:group_id>", payments.GroupView.as_view(), name="group"),
    path("quotes", payments.QuotesView.as_view(), name="quotes"),
    path("transactions", reads.TransactionsView.as_view(), name="transactions"),
    path("transactions/<id:transaction_id>", reads.TransactionView.as_view(), name="transaction"),
    path("transactions/<id:transaction_id>/capture", holds.CaptureView.as_view(), name="capture-transaction"),
    path("transactions/<id:transaction_id>/void", holds.VoidView.as_view(), name="void-transaction"),
    path("transactions/<id:transaction_id>/reversals", reversals.ReversalsView.as_view(), name="reversals"),
    path("transactions/<id:transaction_id>/cancel", holds.CancelView.as_view(), name="cancel-transaction"),
    path("accounts/<id:account_id>/close", accounts.CloseAccountView.as_view(), name="close-account"),
    path(
        "accounts/<id:account_id>/transactions",
        reads.AccountTransactionsView.as_view(),
        name="account-transactions",
    ),
    path("accounts/<id:account_id>/entries", reads.EntriesView.as_view(), name="entries"),
    path("accounts/<id:account_id>/balance", reads.BalanceView.as_view(), name="balance-at"),
    path("accounts/<id:account_id>/explain", reads.ExplainView.as_view(), name="explain-balance"),
    path("accounts/<id:account_id>/limits", limits.LimitsView.as_view(), name="account-limits"),
    path("accounts/<id:account_id>/statement", reads.StatementView.as_view(), name="statement"),
]
