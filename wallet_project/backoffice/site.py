"""The admin site: a content security policy of its own, a throttled login, and a menu that fits the reader."""

from collections.abc import Callable
from functools import wraps
from time import monotonic
from typing import Any, Final

from django.contrib.auth import REDIRECT_FIELD_NAME
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from unfold.dataclasses import SearchResult
from unfold.sites import UnfoldAdminSite

from wallet_project.backoffice.login import ThrottledLoginForm
from wallet_project.backoffice.look import NAVIGATION

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
#: In the session of who has come in by the login below. The customers' login makes sessions too, under rules of its own
#: (how often one may guess, how long it lasts); for a member of staff they are not good enough here.
STAFF_DOOR: Final = "came_in_by_the_staff_door"


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

    def has_permission(self, request: HttpRequest) -> bool:
        return bool(super().has_permission(request)) and STAFF_DOOR in request.session

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:
        # unfold's form leaves out the hidden field that Django's has. Without one, or with one that leads elsewhere,
        # one would end at /accounts/profile/, which is nowhere.
        wanted = request.POST.get(REDIRECT_FIELD_NAME) or request.GET.get(REDIRECT_FIELD_NAME, "")
        if not url_has_allowed_host_and_scheme(wanted, allowed_hosts={request.get_host()}):
            wanted = reverse("admin:index", current_app=self.name)
        for name in ("GET", "POST"):
            values = getattr(request, name).copy()
            values[REDIRECT_FIELD_NAME] = wanted
            setattr(request, name, values)
        response: HttpResponseBase = super().login(request, extra_context)
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        # A redirect is what a right password gets; with a session from elsewhere one is authenticated all along.
        if request.method == "POST" and isinstance(response, HttpResponseRedirect):
            request.session.set_expiry(STAFF_SESSION_SECONDS)
            request.session[STAFF_DOOR] = True
        return response

    def search(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The palette (Ctrl+K): pages of the menu by their names. unfold's own keeps objects in the cache, and ours
        takes plain values only."""
        began = monotonic()
        term = request.GET.get("s", "").strip().lower()
        if not term:
            return HttpResponse()
        found = [
            SearchResult(title=item["title"], description=group["title"], link=item["link"], icon=item["icon"])
            for group in NAVIGATION
            for item in group["items"]
            if term in item["title"].lower() and ("permission" not in item or item["permission"](request))
        ]
        part = "command_results" if "extended" in request.GET else "search_results"
        pages = Paginator(found, max(1, len(found)))
        context = {
            "page_obj": pages,
            "results": pages.page(1),
            "page_counter": 0,
            "execution_time": monotonic() - began,
        }
        return TemplateResponse(request, f"unfold/helpers/{part}.html", context, headers={"HX-Trigger": "search"})

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[dict[str, Any]]:
        """In the order of the house, not of the alphabet."""
        order = {"compliance": 0, "ledger": 1, "accounts": 2}
        apps: list[dict[str, Any]] = super().get_app_list(request, app_label)
        return sorted(apps, key=lambda each: order.get(each["app_label"], 9))
