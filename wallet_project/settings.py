"""Settings, all from the environment (see .env.example). Safe by default: what production needs has no default."""

import sys
from datetime import timedelta
from pathlib import Path

import django_stubs_ext
import environ
from celery.schedules import crontab
from django.core.exceptions import ImproperlyConfigured

from wallet_project.api import defaults as api_defaults
from wallet_project.backoffice.look import UNFOLD as UNFOLD
from wallet_project.utils.logs import logging_config

# Lets Django's classes take type parameters (ModelAdmin[Account]) when the program runs, not just when it is checked.
django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
if env.bool("READ_ENV_FILES", default=True):
    environ.Env.read_env(BASE_DIR / ".env")
    # Written by `make run` and `make demo`, so that `manage.py` typed beside them finds their servers.
    environ.Env.read_env(BASE_DIR / ".local" / "env")

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="insecure-development-key" if DEBUG else "")
if not SECRET_KEY:
    raise ImproperlyConfigured("Set SECRET_KEY (or DEBUG=on for development).")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
PUBLIC_URL = env.str("PUBLIC_URL", default="http://127.0.0.1:8000")
# Where providers reach us, when that is another door than the one that people use.
CALLBACK_URL = env.str("CALLBACK_URL", default=PUBLIC_URL)
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[PUBLIC_URL])

INSTALLED_APPS = [
    "wallet_project",
    # Basic: the site is ours, not unfold's.
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "wallet_project.backoffice.apps.BackofficeConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django_fsm",
    "django_prometheus",
    "django_structlog",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.headless",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "wallet_project.chain",
    "accounts",
    "ledger",
    "compliance",
]
MIDDLEWARE = [*api_defaults.MIDDLEWARE, "accounts.middleware.LoginApiMiddleware"]
ROOT_URLCONF = "wallet_project.urls"
WSGI_APPLICATION = "wallet_project.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# --- Data -------------------------------------------------------------------------------------------------------
DATABASE_URL = env.str("DATABASE_URL", default="")
DATABASE_OWNER_URL = env.str("DATABASE_OWNER_URL", default="")
REDIS_URL = env.str("REDIS_URL", default="")
if not DATABASE_URL or not REDIS_URL:
    raise ImproperlyConfigured(
        "Set DATABASE_URL and REDIS_URL, or start the embedded servers with `make run` in another terminal."
    )


def pool_options(size: int) -> dict[str, object]:
    """Whoever has waited a second for one of so many connections is told to come again (503)."""
    return {"min_size": 1, "max_size": size, "timeout": 1.0}


def _database(url: str, *, statement_timeout: str, idle_timeout: str = "10s", pool: int = 0) -> dict[str, object]:
    """Timeouts: whatever hangs is cut off and can be asked for again. `pool`: connections that the threads
    of a process share; 0: each thread keeps one of its own."""
    config = environ.Env.db_url_config(url)
    shared = {"pool": pool_options(pool)} if pool else {}
    return {
        **config,
        "ENGINE": "django.db.backends.postgresql",
        # Kept, and not asked `SELECT 1` before each request's one statement (docs/decisions/0006). A pool keeps them
        # itself.
        "CONN_MAX_AGE": 0 if pool else None,
        "CONN_HEALTH_CHECKS": False,
        "DISABLE_SERVER_SIDE_CURSORS": env.bool("DISABLE_SERVER_SIDE_CURSORS", default=False),
        "OPTIONS": {
            **config.get("OPTIONS", {}),  # ?sslmode=verify-full and the like
            "connect_timeout": 2,
            "options": f"-c lock_timeout=2s -c statement_timeout={statement_timeout} "
            f"-c idle_in_transaction_session_timeout={idle_timeout}",
            **shared,
        },
    }


DATABASES = {
    "default": _database(
        DATABASE_URL,
        statement_timeout=env.str("STATEMENT_TIMEOUT", default="5s"),
        pool=env.int("DATABASE_POOL", default=0),
    ),
    # Only migrations, grants and backups use the owner; web and workers are started without its URL.
    # Between two statements a migration makes its models anew, which takes a busy machine more than ten seconds.
    "owner": _database(DATABASE_OWNER_URL or DATABASE_URL, statement_timeout="0", idle_timeout="60s"),
}
WALLET_APP_ROLE = DATABASES["default"]["USER"]
#: Signs the chain's heads and reads nothing else (docs/chain.md).
WALLET_NOTARY_ROLE = env.str("WALLET_NOTARY_ROLE", default="wallet_notary")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CACHES = api_defaults.caches(REDIS_URL)
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
FORMAT_MODULE_PATH = ["wallet_project.formats"]
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
    # What customers send: no address leads to it, and nobody else on the machine reads it.
    "documents": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {
            "location": env.str("DOCUMENTS_DIR", default=str(BASE_DIR / ".local" / "documents")),
            "base_url": None,
            "file_permissions_mode": 0o600,
            "directory_permissions_mode": 0o700,
        },
    },
}
WHITENOISE_USE_FINDERS = DEBUG

# --- People -----------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
# One is enough, for the admin too: a second would hash each wrong password once more.
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = env.str("EMAIL_VERIFICATION", default="optional" if DEBUG else "mandatory")
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_RATE_LIMITS = env.json("ACCOUNT_RATE_LIMITS", default={})
# Rate limits go by the caller's address, which a proxy tells as the last in X-Forwarded-For.
ALLAUTH_TRUSTED_PROXY_COUNT = 1 if env.bool("BEHIND_PROXY", default=False) else 0
HEADLESS_ONLY = True
HEADLESS_CLIENTS = ("app",)
HEADLESS_TOKEN_STRATEGY = "accounts.tokens.SessionTokens"  # noqa: S105 - a class
HEADLESS_SERVE_SPECIFICATION = False
HEADLESS_FRONTEND_URLS = {
    "account_confirm_email": PUBLIC_URL + "/verify-email/{key}",
    "account_reset_password": PUBLIC_URL + "/reset-password",
    "account_reset_password_from_key": PUBLIC_URL + "/reset-password/{key}",
    "account_signup": PUBLIC_URL + "/signup",
}
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
USERSESSIONS_TRACK_ACTIVITY = False
EMAIL_CONFIG = env.email_url("EMAIL_URL", default="consolemail://" if DEBUG else "smtp://localhost:25")
vars().update(EMAIL_CONFIG)
EMAIL_TIMEOUT = 5
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="wallet@localhost")

# --- API --------------------------------------------------------------------------------------------------------
THROTTLE_RATES = api_defaults.throttle_rates(env.json("THROTTLE_RATES", default={}))
REST_FRAMEWORK = {**api_defaults.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": THROTTLE_RATES}
SPECTACULAR_SETTINGS = api_defaults.SPECTACULAR_SETTINGS
API_IDENTITY_LOADER = "accounts.selectors.load_people"
#: How many requests a web process works on at once, and how many payments beside them, which wait for their teller
#: without a thread. What is more is refused (503).
WEB_REQUESTS_AT_ONCE = env.int("WEB_REQUESTS_AT_ONCE", default=96)
WEB_PAYMENTS_AT_ONCE = env.int("WEB_PAYMENTS_AT_ONCE", default=256)
DATA_UPLOAD_MAX_MEMORY_SIZE = 64 * 1024
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")

# --- The wallet -------------------------------------------------------------------------------------------------
#: ISO 4217 currencies that accounts may be kept in, with their minor-unit exponents.
WALLET_CURRENCIES = {"EUR": 2, "USD": 2, "GBP": 2, "CHF": 2, "JPY": 0}
#: How many accounts a customer may have that are neither closed nor rejected, and how often a day a profile may change.
ACCOUNTS_PER_CUSTOMER = env.int("ACCOUNTS_PER_CUSTOMER", default=20)
PROFILE_CHANGES_PER_DAY = env.int("PROFILE_CHANGES_PER_DAY", default=10)
#: How many bank accounts a customer may keep to pay out to, and how often he may claim a handle within 365 days.
BENEFICIARIES_PER_CUSTOMER = env.int("BENEFICIARIES_PER_CUSTOMER", default=50)
HANDLE_CLAIMS_PER_YEAR = env.int("HANDLE_CLAIMS_PER_YEAR", default=3)
#: Screening limits in minor units; a currency without its own takes the euro's numbers scaled by its exponent.
SCREENING_LIMITS = env.json("SCREENING_LIMITS", default={})
#: From this amount (minor units) on an approval of a held transaction needs a second person; by default 50,000 euros.
FOUR_EYES_FROM = env.json("FOUR_EYES_FROM", default={})
#: From this score on (of 100) a name that is on a list is a match that a person looks at (docs/lists.md).
NAME_MATCH_THRESHOLD = env.int("NAME_MATCH_THRESHOLD", default=75)
if NAME_MATCH_THRESHOLD not in range(1, 101):
    raise ImproperlyConfigured("NAME_MATCH_THRESHOLD is a score from 1 to 100.")
#: A publisher's list that was not read again for so many days is escalated (docs/lists.md); 0: never.
LIST_MAX_AGE_DAYS = env.int("LIST_MAX_AGE_DAYS", default=7)
if LIST_MAX_AGE_DAYS < 0:
    raise ImproperlyConfigured("LIST_MAX_AGE_DAYS is a number of days, or 0.")
#: So many days after it was verified an identity is checked again; 0: never.
IDENTITY_VALID_DAYS = env.int("IDENTITY_VALID_DAYS", default=730)
if IDENTITY_VALID_DAYS < 0:
    raise ImproperlyConfigured("IDENTITY_VALID_DAYS is a number of days, or 0.")
#: Points of the rules that score add up: from these sums on a transaction is reviewed, and rejected.
SCORE_REVIEW_FROM = env.int("SCORE_REVIEW_FROM", default=50)
SCORE_REJECT_FROM = env.int("SCORE_REJECT_FROM", default=100)
#: Documents that customers send: how large one may be, how many in a day, and how many ever; and how often a day a
#: customer may ask for the full level.
DOCUMENT_MAX_BYTES = env.int("DOCUMENT_MAX_BYTES", default=5 * 1024 * 1024)
DOCUMENTS_PER_DAY = env.int("DOCUMENTS_PER_DAY", default=10)
DOCUMENTS_PER_CUSTOMER = env.int("DOCUMENTS_PER_CUSTOMER", default=50)
LEVEL_REQUESTS_PER_DAY = env.int("LEVEL_REQUESTS_PER_DAY", default=3)
#: What a customer of a level may send to others, by currency: ledger/levels.py has the form. By default what he likes.
LEVEL_LIMITS = env.json("LEVEL_LIMITS", default={})
#: What payments cost: ledger/fees.py has the form. By default nothing does.
FEES = env.json("FEES", default={})
#: Lists of the tables whose rows the chain seals, each app its own (docs/chain.md).
SEALED = ["accounts.sealed.TABLES", "ledger.sealed.TABLES", "compliance.sealed.TABLES"]
#: Lists of what may go, each app its own, and so many days after which it does; null: never (docs/operations.md).
RETENTION = ["accounts.retention.EXPIRING", "ledger.retention.EXPIRING", "compliance.retention.EXPIRING"]
_KEEP_DAYS = {
    "sessions": 0,
    "devices": 30,
    # Ten years: more than what laws against money laundering ask for (Directive (EU) 2015/849, article 40: five years,
    # and five more at the most).
    **dict.fromkeys(("identity_answers", "identity_messages", "bank_answers", "bank_messages"), 3_653),
    "backtest_reports": 730,
}
KEEP_DAYS = _KEEP_DAYS | env.json("KEEP_DAYS", default={})
if KEEP_DAYS.keys() != _KEEP_DAYS.keys() or any(
    not (days is None or (type(days) is int and days >= min(_KEEP_DAYS[name], 30))) for name, days in KEEP_DAYS.items()
):
    raise ImproperlyConfigured(f"KEEP_DAYS has days, 30 or more, or null for any of {', '.join(_KEEP_DAYS)}.")
#: Where the notary keeps its key and the heads that it has signed; for its process alone.
NOTARY_DIR = env.str("NOTARY_DIR", default="")
#: Callables that add a check to `verify_ledger`, each app its own.
LEDGER_CHECKS = [
    "accounts.verification.checks",
    "ledger.verification.checks",
    "compliance.verification.checks",
    "wallet_project.guards.checks",
    "wallet_project.chain.verification.checks",
]

#: The same for what came since the last audit that found nothing, and what knows of that audit (docs/audit.md).
LEDGER_CHECKS_SINCE = [
    "accounts.verification.checks_since",
    "ledger.verification.since.checks",
    "compliance.verification.checks_since",
    "wallet_project.guards.checks_since",
    "wallet_project.chain.verification.checks_since",
]
LEDGER_VERIFIED = "compliance.selectors.last_verified"

#: Every night all of them are read (compliance.self_audit), off peak: at this hour in UTC, no query longer than this.
SELF_AUDIT_HOUR = env.int("SELF_AUDIT_HOUR", default=3)
SELF_AUDIT_QUERY_SECONDS = env.int("SELF_AUDIT_QUERY_SECONDS", default=600)
if SELF_AUDIT_HOUR not in range(24):
    raise ImproperlyConfigured("SELF_AUDIT_HOUR is an hour of the day in UTC, from 0 to 23.")

#: What gives the identity provider: a dotted path of a callable without arguments (docs/kyc.md).
IDENTITY_PROVIDER = env.str("IDENTITY_PROVIDER", default="compliance.providers.identity.from_settings")
#: For compliance.providers.signed.from_settings: what our calls are signed with, and where below IDENTITY_URL they go.
IDENTITY_SIGNING_SECRET = env.str("IDENTITY_SIGNING_SECRET", default="")
IDENTITY_PATHS = env.json("IDENTITY_PATHS", default={})
IDENTITY_URL = env.str("IDENTITY_URL", default="")
IDENTITY_API_KEY = env.str("IDENTITY_API_KEY", default="")
IDENTITY_WEBHOOK_SECRET = env.str("IDENTITY_WEBHOOK_SECRET", default="")
#: What gives the payment rail: a dotted path of a callable without arguments (docs/rails.md).
PAYMENT_RAIL = env.str("PAYMENT_RAIL", default="ledger.rails.http.from_settings")
BANK_URL = env.str("BANK_URL", default="")
BANK_API_KEY = env.str("BANK_API_KEY", default="")
BANK_WEBHOOK_SECRET = env.str("BANK_WEBHOOK_SECRET", default="")

# --- Background work --------------------------------------------------------------------------------------------
#: News upwards is never a call: a topic names the task that looks for the rows (docs/architecture.md).
NUDGES = {
    "accounts.identity_wanted": "compliance.run_checks",
    "accounts.account_thawed": "ledger.resume_thawed",
    "compliance.check_answered": "compliance.process_identity_events",
    "ledger.transaction_pending": "compliance.screen_due",
    "ledger.transaction_approved": "ledger.clear_due",
    "ledger.payer_named": "compliance.screen_payers",
    "ledger.rail_due": "ledger.dispatch_rails",
    "ledger.bank_event": "ledger.process_bank_events",
    "ledger.escalated": "compliance.open_cases",
    "compliance.audit_wanted": "compliance.self_audit",
    "compliance.list_activated": "compliance.rescreen_customers",
    "compliance.backtest_wanted": "compliance.run_backtests",
}
#: Tasks that wait for somebody outside keep to a lane of their own, with workers of its own: a bank that hangs must not
#: keep what needs no bank from being screened and cleared. So does the self-audit, which reads for minutes.
CELERY_TASK_ROUTES = {
    **{name: {"queue": "outside"} for name in ("ledger.dispatch_rails", "compliance.run_checks")},
    "compliance.self_audit": {"queue": "audit"},
    "compliance.run_backtests": {"queue": "audit"},
    "wallet.expire": {"queue": "audit"},
}
CELERY_BROKER_URL = REDIS_URL
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 3600,
    "socket_timeout": 2,
    "socket_connect_timeout": 1,
    "retry_on_timeout": False,
    # Publishing to a dead broker fails at once: kombu would go on trying for six seconds of somebody's request.
    "max_retries": 0,
    "interval_start": 0,
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_PUBLISH_RETRY = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_TIME_LIMIT = 300
CELERY_TASK_SOFT_TIME_LIMIT = 240
#: Sweeps find what a lost nudge left behind; each is safe to run ten times at once.
CELERY_BEAT_SCHEDULE = {
    name: {"task": name, "schedule": timedelta(seconds=seconds), "options": {"expires": seconds * 2}}
    for name, seconds in {
        "compliance.run_checks": 5,
        "compliance.process_identity_events": 5,
        "compliance.refresh_identities": 3600,
        "compliance.expire_documents": 3600,
        "compliance.score_risks": 30,
        "compliance.screen_due": 2,
        "compliance.screen_payers": 2,
        "compliance.open_cases": 10,
        "compliance.rescreen_customers": 10,
        "compliance.watch_lists": 600,
        "compliance.run_backtests": 30,
        "ledger.clear_due": 2,
        "ledger.expire_due": 3,
        "ledger.resume_thawed": 10,
        "ledger.keep_level_limits": 600,
        "ledger.dispatch_rails": 2,
        "ledger.process_bank_events": 2,
        "chain.seal": 3,
    }.items()
}
CELERY_BEAT_SCHEDULE["compliance.self_audit"] = {
    "task": "compliance.self_audit",
    "schedule": crontab(hour=str(SELF_AUDIT_HOUR), minute="17"),
    "options": {"expires": 6 * 3600},
}
CELERY_BEAT_SCHEDULE["wallet.expire"] = {
    "task": "wallet.expire",
    "schedule": crontab(hour=str((SELF_AUDIT_HOUR + 2) % 24), minute="17"),
    "options": {"expires": 6 * 3600},
}
#: A lease on a row: a worker that died gives its rows back after this.
LEASE = timedelta(seconds=env.int("LEASE_SECONDS", default=60))

# --- Safety -----------------------------------------------------------------------------------------------------
LOGGING = logging_config(env.str("LOG_FORMAT", default="console" if DEBUG else "json"))
# RequestIdMiddleware has looked at the header before; addresses are personal; one line per request is enough.
DJANGO_STRUCTLOG_TRUST_UPSTREAM_REQUEST_ID = True
DJANGO_STRUCTLOG_IP_LOGGING_ENABLED = False
DJANGO_STRUCTLOG_STATUS_START_LOG_LEVEL = 10
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
# TLS is off only where the URL that people use says so (compose and `make run` on one's own machine).
_https = PUBLIC_URL.startswith("https://") or not (DEBUG or env.bool("ALLOW_HTTP", default=False))
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = _https
SECURE_HSTS_SECONDS = 31_536_000 if _https else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = _https
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env.bool("BEHIND_PROXY", default=False) else None
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]

_management_only = {"migrate", "collectstatic", "check", "makemigrations", "spectacular", "backup", "restore"}
_management_only |= {"notarize", "verify_chain", "resume_chain", "expire", "archive"}
# Only the rail that speaks HTTP needs to know where.
_bank = (BANK_URL, BANK_API_KEY) if PAYMENT_RAIL == "ledger.rails.http.from_settings" else ()
_identity = {
    "compliance.providers.identity.from_settings": (IDENTITY_URL, IDENTITY_API_KEY),
    "compliance.providers.signed.from_settings": (IDENTITY_URL, IDENTITY_SIGNING_SECRET),
}.get(IDENTITY_PROVIDER, ())
_providers = (*_identity, IDENTITY_WEBHOOK_SECRET, *_bank, BANK_WEBHOOK_SECRET)
if not DEBUG and not _management_only.intersection(sys.argv[1:2]) and not all(_providers):
    raise ImproperlyConfigured(
        "Set IDENTITY_URL and BANK_URL, each with its API_KEY and WEBHOOK_SECRET: without providers nothing could ever "
        "be approved."
    )
