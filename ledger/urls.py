from django.urls import path

from ledger.views import accounts, holds, payments, reads

urlpatterns = [
    path("deposits", payments.DepositsView.as_view(), name="deposits"),
    path("withdrawals", payments.WithdrawalsView.as_view(), name="withdrawals"),
    path("transfers", payments.TransfersView.as_view(), name="transfers"),
    path("transactions", reads.TransactionsView.as_view(), name="transactions"),
    path("transactions/<id:transaction_id>", reads.TransactionView.as_view(), name="transaction"),
    path("transactions/<id:transaction_id>/cancel", holds.CancelView.as_view(), name="cancel-transaction"),
    path("accounts/<id:account_id>/close", accounts.CloseAccountView.as_view(), name="close-account"),
    path(
        "accounts/<id:account_id>/transactions",
        reads.AccountTransactionsView.as_view(),
        name="account-transactions",
    ),
    path("accounts/<id:account_id>/entries", reads.EntriesView.as_view(), name="entries"),
]
