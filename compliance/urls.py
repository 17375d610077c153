from django.urls import path

from compliance import views

urlpatterns = [
    path("screenings/<id:transaction_id>", views.ScreeningView.as_view(), name="screening"),
]
