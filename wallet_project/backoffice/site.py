"""The admin site: a content security policy of its own, a throttled login, and a menu that fits the reader."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Final

from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse
from unfold.sites import UnfoldAdminSite

from wallet_project.backoffice.login import ThrottledLoginForm

#: Alpine, which unfold is built on, evaluates the expressions in its attributes; that needs `unsafe-eval`, here only.
#: Nothing inline is run, and nothing comes from or goes to another host.
CONTENT_SECURITY_POLICY: Final = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)

#: A working day; a customer's session may live longer.
STAFF_SESSION_SECONDS: Final = 10 * 3600


class BackofficeSite(UnfoldAdminSite):  # type: ignore[misc]
    site_header = "Wallet"
    index_title = "Your work"
    login_form = ThrottledLoginForm
    enable_nav_sidebar = True

    def admin_view(self, view: Callable[..., HttpResponseBase], cacheable: bool = False) -> Callable[..., Any]:
        inner = super().admin_view(view, cacheable)

        @wraps(inner)
        def with_policy(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            response: HttpResponseBase = inner(request, *args, **kwargs)
            response.headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
            return response

        return with_policy

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:
        if REDIRECT_FIELD_NAME not in request.GET and REDIRECT_FIELD_NAME not in request.POST:
            # unfold's form leaves out the hidden field that Django's has; without it one ends at /accounts/profile/.
            query = request.GET.copy()
            query[REDIRECT_FIELD_NAME] = reverse("admin:index", current_app=self.name)
            request.GET = query  # type: ignore[assignment]
        response: HttpResponseBase = super().login(request, extra_context)
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        if request.method == "POST" and request.user.is_authenticated:
            request.session.set_expiry(STAFF_SESSION_SECONDS)
        return response

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[dict[str, Any]]:
        """In the order of the house, not of the alphabet."""
        order = {"compliance": 0, "ledger": 1, "accounts": 2}
        apps: list[dict[str, Any]] = super().get_app_list(request, app_label)
        return sorted(apps, key=lambda each: order.get(each["app_label"], 9))
