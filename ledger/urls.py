from django.urls import path

from ledger import views

urlpatterns = [
    path("deposits", views.DepositsView.as_view(), name="deposits"),
    path("withdrawals", views.WithdrawalsView.as_view(), name="withdrawals"),
    path("transfers", views.TransfersView.as_view(), name="transfers"),
    path("transactions", views.TransactionsView.as_view(), name="transactions"),
    path("transactions/<id:transaction_id>", views.TransactionView.as_view(), name="transaction"),
    path("transactions/<id:transaction_id>/cancel", views.CancelView.as_view(), name="cancel-transaction"),
    path("accounts/<id:account_id>/close", views.CloseAccountView.as_view(), name="close-account"),
    path(
        "accounts/<id:account_id>/transactions",
        views.AccountTransactionsView.as_view(),
        name="account-transactions",
    ),
    path("accounts/<id:account_id>/entries", views.EntriesView.as_view(), name="entries"),
]
