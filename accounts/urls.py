from django.urls import path

from accounts import views

urlpatterns = [
    path("me", views.MeView.as_view(), name="me"),
    path("me/profile", views.ProfileView.as_view(), name="profile"),
    path("me/handle", views.HandleView.as_view(), name="handle"),
    path("payees/<str:handle>", views.PayeeView.as_view(), name="payee"),
    path("beneficiaries", views.BeneficiariesView.as_view(), name="beneficiaries"),
    path("beneficiaries/<id:beneficiary_id>", views.BeneficiaryView.as_view(), name="beneficiary"),
    path("accounts", views.AccountsView.as_view(), name="accounts"),
    path("accounts/<id:account_id>", views.AccountView.as_view(), name="account"),
]
