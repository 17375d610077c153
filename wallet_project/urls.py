"""Every door of the wallet."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularRedocView, SpectacularSwaggerView

from wallet_project import health
from wallet_project.api.problem_page import problem_page

api: list[URLPattern | URLResolver] = [
    path("", include("accounts.urls")),
    path("", include("ledger.urls")),
    path("", include("compliance.urls")),
    path("openapi.json", SpectacularJSONAPIView.as_view(), name="openapi"),
]
urlpatterns = [
    path("api/v1/", include(api)),
    path("api/docs", SpectacularSwaggerView.as_view(url_name="openapi"), name="docs"),
    path("api/redoc", SpectacularRedocView.as_view(url_name="openapi"), name="redoc"),
    path("api/problems", problem_page, name="problems"),
    path("webhooks/", include("ledger.webhook_urls")),
    path("webhooks/", include("compliance.webhook_urls")),
    path("_allauth/", include("allauth.headless.urls")),
    path("admin/", admin.site.urls),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
]
handler400 = "wallet_project.api.handlers.bad_request"
handler403 = "wallet_project.api.handlers.permission_denied"
handler404 = "wallet_project.api.handlers.not_found"
handler500 = "wallet_project.api.handlers.server_error"
