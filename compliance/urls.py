from django.urls import path

from compliance.views import identity, screenings

urlpatterns = [
    path("me/level", identity.LevelView.as_view(), name="level"),
    path("me/documents", identity.DocumentsView.as_view(), name="documents"),
    path("me/documents/<id:document_id>", identity.DocumentView.as_view(), name="document"),
    path("screenings/<id:transaction_id>", screenings.ScreeningView.as_view(), name="screening"),
]
