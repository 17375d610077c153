from django.urls import path

from accounts import views

urlpatterns = [
    path("me", views.MeView.as_view(), name="me"),
    path("me/profile", views.ProfileView.as_view(), name="profile"),
    path("accounts", views.AccountsView.as_view(), name="accounts"),
    path("accounts/<id:account_id>", views.AccountView.as_view(), name="account"),
]
