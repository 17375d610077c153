"""Settings of the web side that no environment changes; `wallet_project.settings` takes them over."""

import re
from typing import Any, Final
from uuid import UUID

from django.core.exceptions import ImproperlyConfigured
from redis.backoff import NoBackoff
from redis.retry import Retry

#: The whole chain, for the admin and the login API. Requests below FAST_LANE_PREFIXES leave it at FastLaneMiddleware
#: and meet FAST_LANE_MIDDLEWARE instead: sessions, CSRF and messages would cost them a fifth of their speed, and
#: serve them nothing (they carry a token, and no cookie is read).
MIDDLEWARE: Final = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "wallet_project.middleware.RequestIdMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "wallet_project.middleware.FastLaneMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]
FAST_LANE_PREFIXES: Final = ("/api/", "/webhooks/", "/healthz", "/readyz", "/metrics")
FAST_LANE_MIDDLEWARE: Final = ["django_prometheus.middleware.PrometheusAfterMiddleware"]

#: What the door answers itself (wallet_project/door.py).
DIRECT_PATHS: Final = ["/api/v1/transfers", "/api/v1/deposits", "/api/v1/withdrawals"]

_RATE: Final = re.compile(r"[1-9][0-9]*/(?:s|min|hour|day)", re.ASCII)
#: How often one user may call, by scope; settings.THROTTLE_RATES may say otherwise.
#: Each answer about a handle tells a name, or that there is none: enough for a person, too little to try them all.
THROTTLE_RATES: Final[dict[str, str]] = {
    "user": "1200/min",
    "beneficiaries": "120/min",
    "payees": "200/hour",
    "handle": "20/hour",
    "documents": "60/hour",
}
REST_FRAMEWORK: Final[dict[str, Any]] = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["wallet_project.api.authentication.SessionTokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["wallet_project.api.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["wallet_project.api.renderers.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "wallet_project.api.negotiation.JsonNegotiation",
    "DEFAULT_PAGINATION_CLASS": "wallet_project.api.pagination.IdCursorPagination",
    "DEFAULT_THROTTLE_CLASSES": ["wallet_project.api.throttling.FixedWindowThrottle"],
    "DEFAULT_SCHEMA_CLASS": "wallet_project.api.schema.WalletSchema",
    "EXCEPTION_HANDLER": "wallet_project.api.problems.exception_handler",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "URL_FORMAT_OVERRIDE": None,
    "URL_FIELD_NAME": "url",
    # Nobody's X-Forwarded-For is believed; a deployment behind proxies says how many there are.
    "NUM_PROXIES": 0,
    "COERCE_DECIMAL_TO_STRING": True,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}

SPECTACULAR_SETTINGS: Final[dict[str, Any]] = {
    "TITLE": "Wallet API",
    "VERSION": "1",
    # In 3.0 a null stands for no object, and `failure` may be null.
    "OAS_VERSION": "3.1.1",
    "DESCRIPTION": (
        "Accounts and money. Amounts are integers of minor units (cents) with an ISO 4217 currency, times are UTC, "
        "ids are UUIDs, lists are pages with a cursor. Each POST that makes something takes an `Idempotency-Key`. "
        "Refusals are `application/problem+json` with a stable `code`. Log in at `/_allauth/app/v1/auth/login` and "
        "send the session token as `X-Session-Token`. Everything below `/_allauth/` is django-allauth's headless app "
        "client and answers in allauth's own form (`status`, `data`, `meta`, `errors: [{param, code, message}]`): see "
        "https://docs.allauth.org/en/latest/headless/openapi-specification/."
    ),
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PUBLIC": True,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "COMPONENT_SPLIT_REQUEST": True,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SORT_OPERATIONS": False,
    "PATH_CONVERTER_OVERRIDES": {"id": UUID},
    # What several resources have in other choices: each gets a name that a generated client can live with.
    "ENUM_NAME_OVERRIDES": {
        "AccountStatus": "accounts.states.AccountStatus",
        "DocumentKind": "compliance.states.DocumentKind.values",
        "DocumentStatus": "compliance.states.DocumentStatus.values",
        "Level": "accounts.states.Level.values",
        "FullLevel": ["full"],
        "TransactionStatus": "ledger.selectors.LISTED_STATUSES",
        "TransactionKind": "ledger.selectors.LISTED_KINDS",
        "ChargedKind": "ledger.fees.CHARGED_KINDS",
        "CaptureMode": ["automatic", "manual"],
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "wallet_project.api.schema.add_problem_schema",
        "wallet_project.api.schema.share_responses",
        "wallet_project.api.schema.share_examples",
    ],
}


def throttle_rates(own: object) -> dict[str, str]:
    """THROTTLE_RATES overlaid with settings' own, {scope: "calls/period"}. Raises ImproperlyConfigured."""
    if not isinstance(own, dict) or not own.keys() <= THROTTLE_RATES.keys():
        raise ImproperlyConfigured(f"THROTTLE_RATES is an object of rates for {', '.join(THROTTLE_RATES)}.")
    for scope, rate in own.items():
        if not isinstance(rate, str) or not _RATE.fullmatch(rate):
            raise ImproperlyConfigured(f"THROTTLE_RATES[{scope!r}] is a rate like 600/min (s, min, hour or day).")
    return {**THROTTLE_RATES, **own}


def caches(redis_url: str, *, key_prefix: str = "wallet") -> dict[str, dict[str, Any]]:
    """settings.CACHES. Short timeouts and one retry without a pause (for a connection that the server has closed):
    a dead Redis may cost a request tenths of a second, once a second (utils.volatile)."""
    return {
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": redis_url,
            "KEY_PREFIX": key_prefix,
            "TIMEOUT": 300,
            "OPTIONS": {
                # Not pickle: whoever can write to Redis must not be able to run code here.
                "SERIALIZER": "django_redis.serializers.json.JSONSerializer",
                "SOCKET_CONNECT_TIMEOUT": 0.25,
                "SOCKET_TIMEOUT": 0.25,
                "CONNECTION_POOL_KWARGS": {"retry": Retry(NoBackoff(), 1)},
            },
        }
    }
