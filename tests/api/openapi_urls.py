"""What the test document describes."""

from django.urls import path

from tests.api import views

urlpatterns = [
    path("api/v1/keyed", views.KeyView.as_view()),
    path("api/v1/maybe-keyed", views.MaybeKeyView.as_view()),
    path("api/v1/users", views.UsersView.as_view()),
    path("api/v1/users/<uuid:id>", views.WhoView.as_view()),
]
