"""Three questions of an operator: does the process live, can it serve, and how is it doing."""

import ipaddress
import secrets
from typing import Any, Final

from django.conf import settings
from django.core.cache import cache
from django.db import Error as DatabaseError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from wallet_project.api.problems import problem_response
from wallet_project.utils import metrics as figures
from wallet_project.utils.errors import NotAllowed
from wallet_project.utils.volatile import REDIS_FAILURES

_UP: Final = "ok"
_migrations_seen_complete = False


@require_safe
def healthz(_request: HttpRequest) -> JsonResponse:
    """The process answers. It asks nothing of anybody: a restart cures no dependency."""
    return JsonResponse({"status": _UP})


@require_safe
def readyz(_request: HttpRequest) -> JsonResponse:
    """200 when requests can be served, `degraded` when slower than usual (no Redis); 503 when they cannot."""
    checks = {"database": _database(), "migrations": "unknown", "redis": _redis()}
    if checks["database"] == _UP:
        checks["migrations"] = _migrations()
    ready = checks["database"] == _UP and checks["migrations"] == _UP
    state = "unavailable" if not ready else _UP if checks["redis"] == _UP else "degraded"
    return JsonResponse({"status": state, "checks": checks}, status=200 if ready else 503)


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """For Prometheus: from this machine, or with METRICS_TOKEN as a bearer token."""
    if not _may_scrape(request):
        return problem_response(NotAllowed("Metrics are read from this machine or with the metrics token."))
    return HttpResponse(figures.render(), content_type=figures.CONTENT_TYPE)


def _may_scrape(request: HttpRequest) -> bool:
    token: str = settings.METRICS_TOKEN
    given = request.headers.get("Authorization", "")
    if token:
        return secrets.compare_digest(given.encode(), f"Bearer {token}".encode())
    # Through a proxy on this machine everybody looks local.
    return _is_loopback(request.META.get("REMOTE_ADDR", "")) and "HTTP_X_FORWARDED_FOR" not in request.META


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        # A connection that broke while idle is dropped here, so that the next probe opens a new one.
        connection.close()
        return "unreachable"
    return _UP


def _migrations() -> str:
    """Once complete they stay so while this code runs: a newer release migrates before its processes start."""
    global _migrations_seen_complete
    if _migrations_seen_complete:
        return _UP
    try:
        executor: Any = MigrationExecutor(connection)
        _migrations_seen_complete = not executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError:
        connection.close()
        return "unreadable"
    return _UP if _migrations_seen_complete else "unapplied"


def _redis() -> str:
    try:
        # Written, not read: one that is full still answers questions, but takes neither nudges nor tasks.
        cache.set("readyz", True, timeout=10)
    except REDIS_FAILURES:
        return "unreachable"
    return _UP
