"""The test views beside the doors of the project that they are tested with; nothing of the apps."""

from django.urls import include, path
from drf_spectacular.views import SpectacularJSONAPIView

from tests.api import views
from wallet_project import health

handler400 = "wallet_project.api.handlers.bad_request"
handler403 = "wallet_project.api.handlers.permission_denied"
handler404 = "wallet_project.api.handlers.not_found"
handler500 = "wallet_project.api.handlers.server_error"

urlpatterns = [
    path("api/t/echo", views.EchoView.as_view()),
    path("api/t/raw", views.RawView.as_view()),
    path("api/t/keyed", views.KeyView.as_view()),
    path("api/t/maybe-keyed", views.MaybeKeyView.as_view()),
    path("api/t/fail/<str:kind>", views.FailView.as_view()),
    path("api/t/plain/<str:kind>", views.plain_fail),
    path("elsewhere/<str:kind>", views.plain_fail),
    path("api/t/users", views.UsersView.as_view()),
    path("api/t/who", views.WhoView.as_view()),
    path("api/t/limited", views.LimitedView.as_view()),
    path("api/t/openapi.json", SpectacularJSONAPIView.as_view(urlconf="tests.api.openapi_urls")),
    path("_allauth/", include("allauth.headless.urls")),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("metrics", health.metrics),
]
