"""Settings shared by development, tests and production; everything that differs comes from the environment."""

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from redis.backoff import NoBackoff
from redis.retry import Retry

from portal import env

BASE_DIR = Path(__file__).resolve().parents[2]
DATA_DIR = Path(
    env.text(
        "SLIPWAY_DATA",
        default=str(BASE_DIR / ".slipway"),
        shown=".slipway in the project's folder",
        help="Folder of everything the portal keeps on disk.",
    )
)

SECRET_KEY = env.text("SECRET_KEY", default="", help="Signs sessions and links; made by `make up` when not given.")
SECRET_KEY_FALLBACKS = list(
    env.words("SECRET_KEY_FALLBACKS", default=(), help="Earlier values of SECRET_KEY; what they signed stays valid.")
)
SLIPWAY_KEYS = list(
    env.words("SLIPWAY_KEYS", default=(), help="Fernet keys, newest first; the first encrypts, all decrypt.")
)
SLIPWAY_KEYS_FILE = env.text(
    "SLIPWAY_KEYS_FILE",
    default="",
    help="File with the same keys, one a line, read again when it changes; only where SLIPWAY_KEYS is not given.",
)
DEBUG = env.boolean("DEBUG", default=False, help="Shows tracebacks in the browser; never in production.")

PORTAL_URL = env.url(
    "PORTAL_URL", default="http://localhost:8000", schemes=("http", "https"), help="Address people type for the portal."
).rstrip("/")
APPS_URL = (
    env.url(
        "APPS_URL",
        default=None,
        schemes=("http", "https"),
        help="Address under which every application gets a host of its own; default: apps.<portal host>.",
    )
    or "{0.scheme}://apps.{0.netloc}".format(urlsplit(PORTAL_URL))
).rstrip("/")

_portal, _apps = urlsplit(PORTAL_URL), urlsplit(APPS_URL)
ALLOWED_HOSTS = [
    _portal.hostname or "",
    f".{_apps.hostname}",
    *env.words("ALLOWED_HOSTS", default=(), help="Further host names the portal answers to, for example its IP."),
]
if _portal.hostname == "localhost":
    ALLOWED_HOSTS += ["127.0.0.1", "[::1]"]
CSRF_TRUSTED_ORIGINS = [PORTAL_URL]

ACCESS_PROXY_SECRET = env.text(
    "ACCESS_PROXY_SECRET",
    default="",
    help="What a reverse proxy sends as X-Slipway-Proxy-Secret to `/access/verify`; without it nobody is answered.",
)
FORWARDED_ALLOW_IPS = env.words(
    "FORWARDED_ALLOW_IPS",
    default=(),
    help="Addresses or networks of the reverse proxies whose X-Forwarded-For and -Proto are believed; default: none.",
)

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "apps.core",
    "apps.accounts",
    "apps.audit",
    "apps.notifications",
    "apps.catalog",
    "apps.variable_sets",
    "apps.runtimes",
    "apps.provisioning",
    "apps.policies",
    "apps.environments",
    # After environments: inside a transaction the meter of a workspace is locked last.
    "apps.metering",
    "apps.experiments",
    "apps.registry",
    "apps.home",
    "axes",
    "csp",
    "django.contrib.admin",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "django.contrib.staticfiles",
    "django_htmx",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "rest_framework",
    "template_partials",
]

MIDDLEWARE = [
    "apps.core.middleware.CorrelationMiddleware",
    "django.middleware.security.SecurityMiddleware",
    # Above static files: a worker lives under the policy its own script came with.
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "apps.core.middleware.FetchSiteMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "apps.accounts.middleware.TimeZoneMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "portal.urls"
ASGI_APPLICATION = "portal.asgi.application"

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
                "apps.home.context.shell",
            ],
            "builtins": ["django_htmx.templatetags.django_htmx", "apps.core.templatetags.portal_ui"],
        },
    }
]


IDLE_IN_TRANSACTION_MS = 10_000


def database_from_url(url: str) -> dict[str, Any]:
    """Django's settings for a `postgresql://user:password@host:port/name?host=/socket/dir` URL."""
    parts = urlsplit(url)
    options = dict(pair.split("=", 1) for pair in parts.query.split("&") if "=" in pair)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(options.pop("host", "") or parts.hostname or ""),
        "PORT": str(parts.port or options.pop("port", "")),
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            # A process that is frozen in the middle of a transaction (a suspended machine) would hold its row locks,
            # and with them everybody else's requests, for ever. Ours wait for nothing but the database.
            "options": f"-c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_MS}",
            **options,
            # `reconnect_timeout`: after it the pool asks again for the next request, instead of waiting twice as long
            # each time (up to minutes) for a database that has long been back. `timeout`: how long a request waits.
            "pool": {"min_size": 1, "max_size": 20, "timeout": 5, "reconnect_timeout": 3},
        },
    }


DATABASE_URL = env.url(
    "DATABASE_URL",
    default="postgresql://slipway@localhost/slipway",
    schemes=("postgresql", "postgres"),
    help="PostgreSQL 14 or newer; without it `make up` starts an embedded one.",
)
DATABASES = {"default": database_from_url(DATABASE_URL)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

BROKER_URL = env.url(
    "BROKER_URL",
    default="redis://localhost:6379/0",
    schemes=("redis", "rediss", "unix", "redis+socket"),
    help="Valkey or Redis for the queue and the cache; without it `make up` starts an embedded one.",
)
CACHES = {
    "default": {
        "BACKEND": "apps.core.cache.ForgivingRedisCache",
        "LOCATION": BROKER_URL.replace("redis+socket://", "unix://"),
        "KEY_PREFIX": "slipway",
        # No page waits for the cache: see the backend. One more try finds a server that was just started again.
        "OPTIONS": {"socket_timeout": 0.5, "socket_connect_timeout": 0.5, "retry": Retry(NoBackoff(), 1)},
    }
}

CELERY_BROKER_URL = BROKER_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_TIME_LIMIT = 60
CELERY_TASK_SOFT_TIME_LIMIT = 30
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_DEFAULT_QUEUE = "slipway"

MLFLOW_TRACKING_URI = env.url(
    "MLFLOW_TRACKING_URI",
    default="http://localhost:5000",
    schemes=("http", "https"),
    help="MLflow tracking server; without it `make up` starts an embedded one.",
).rstrip("/")
MLFLOW_SERVER_SECRET = env.text(
    "MLFLOW_SERVER_SECRET", default="", help="Secret header that the embedded MLflow server wants from the portal."
)
MLFLOW_SERVER_TOKEN = env.text(
    "MLFLOW_SERVER_TOKEN", default="", help="Bearer token with which the portal calls an MLflow server of your own."
)
MLFLOW_WEBHOOK_SECRET = env.text(
    "MLFLOW_WEBHOOK_SECRET",
    default="",
    help="Secret of webhooks that an MLflow server of your own sends to /experiments/hooks/mlflow/.",
)

# What one stage of a change (a plan or an apply) may take, so that no module stands in the way of the others.
PLAN_MINUTES = env.integer(
    "PLAN_MINUTES",
    default=20,
    minimum=1,
    maximum=240,
    help="Minutes a plan may take; a module may ask for more in module.yaml.",
)
APPLY_MINUTES = env.integer(
    "APPLY_MINUTES",
    default=120,
    minimum=1,
    maximum=1440,
    help="Minutes an apply may take; a module may ask for more in module.yaml.",
)
STAGE_MEMORY_MB = env.integer(
    "STAGE_MEMORY_MB", default=4096, minimum=256, maximum=1_048_576, help="Memory of Terraform and all it starts."
)
STAGE_DISK_MB = env.integer(
    "STAGE_DISK_MB", default=5120, minimum=64, maximum=1_048_576, help="Size of the folder a module works in."
)

# How long things are kept. The audit log, metering and the newest state of a workspace are kept for ever.
KEEP_LOG_DAYS = env.integer(
    "KEEP_LOG_DAYS",
    default=30,
    minimum=1,
    maximum=36500,
    help="Days for which lines of build and application logs are kept.",
)
KEEP_LOG_LINES = env.integer(
    "KEEP_LOG_LINES",
    default=200_000,
    minimum=1000,
    help="Most lines kept of each log of an environment, within these days.",
)
KEEP_STATE_DAYS = env.integer(
    "KEEP_STATE_DAYS", default=30, minimum=1, maximum=36500, help="Days for which earlier Terraform states are kept."
)
KEEP_STATE_VERSIONS = env.integer(
    "KEEP_STATE_VERSIONS", default=20, minimum=1, help="Terraform states of an environment kept whatever their age."
)
KEEP_COMMAND_DAYS = env.integer(
    "KEEP_COMMAND_DAYS",
    default=90,
    minimum=1,
    maximum=36500,
    help="Days for which times of Terraform commands are kept.",
)
KEEP_PLAN_DOCUMENT_DAYS = env.integer(
    "KEEP_PLAN_DOCUMENT_DAYS",
    default=30,
    minimum=1,
    maximum=36500,
    help="Days for which masked plans are kept, so that new policies can be tried on them.",
)
KEEP_UNUSED_RUNTIMES = env.integer(
    "KEEP_UNUSED_RUNTIMES",
    default=5,
    help="Python environments that nobody uses, kept on each machine for the next launch.",
)
KEEP_SERVICE_LOG_MEGABYTES = env.integer(
    "KEEP_SERVICE_LOG_MEGABYTES",
    default=10,
    minimum=1,
    maximum=10_000,
    help="Size at which a service's log file begins anew; two older ones are kept.",
)
KEEP_LIVE_EVENT_HOURS = env.integer(
    "KEEP_LIVE_EVENT_HOURS",
    default=24,
    minimum=1,
    help="Hours for which open pages can catch up with what they missed.",
)
KEEP_IDEMPOTENCY_HOURS = env.integer(
    "KEEP_IDEMPOTENCY_HOURS",
    default=48,
    minimum=1,
    help="Hours for which a repeated Idempotency-Key is answered the same.",
)
KEEP_NOTIFICATION_DAYS = env.integer(
    "KEEP_NOTIFICATION_DAYS",
    default=90,
    minimum=1,
    maximum=9000,
    help="Days for which read messages are kept; unread ones four times as long.",
)
KEEP_SIGN_IN_DAYS = env.integer(
    "KEEP_SIGN_IN_DAYS",
    default=90,
    minimum=1,
    maximum=36500,
    help="Days for which sign-ins, and tokens that expired or were revoked, are kept.",
)
SESSION_DAYS = env.integer(
    "SESSION_DAYS", default=14, minimum=1, maximum=400, help="Days after which a person signs in again."
)

PREBUILD = env.boolean(
    "PREBUILD", default=True, help="Machines install the packages of published modules before anybody launches them."
)

RUNTIME_ADDRESSES = env.boolean(
    "RUNTIME_ADDRESSES",
    default=False,
    help="Requirements of Python environments may name https:// addresses and other package indexes.",
)
RUNTIME_SOURCE_BUILDS = env.boolean(
    "RUNTIME_SOURCE_BUILDS",
    default=False,
    help="Python environments may hold packages that are built from source, which runs their code on the machine.",
)
RUNTIME_SOURCE_PACKAGES = env.words(
    "RUNTIME_SOURCE_PACKAGES",
    default=("pyspark", "pyspark-client"),
    help="Packages of Python environments that may be built from source all the same: their makers publish no wheels.",
)
RUNTIME_MEGABYTES = env.integer(
    "RUNTIME_MEGABYTES",
    default=12_000,
    minimum=10,
    maximum=1_000_000,
    help="Largest size of a Python environment that a platform engineer makes.",
)

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "accounts:sign_in"
LOGIN_REDIRECT_URL = "/"
AXES_FAILURE_LIMIT = env.integer(
    "SIGN_IN_ATTEMPTS", default=10, minimum=3, maximum=1000, help="Failed sign-ins before a person and address wait."
)
AXES_COOLOFF_TIME = 0.25
# Of a person and an address together, and not longer by more tries: nobody can keep somebody else out.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_CALLABLE = "apps.accounts.views.locked_out"
AXES_VERBOSE = False
# A password typed into the field of the name is not kept.
AXES_USERNAME_CALLABLE = "apps.accounts.sign_in_names.name_counted"

_tls = _portal.scheme == "https"
SESSION_COOKIE_NAME = "__Host-slipway" if _tls else "slipway_session"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _tls
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 60 * 60 * 24 * SESSION_DAYS
CSRF_COOKIE_NAME = "__Host-slipway-csrf" if _tls else "slipway_csrf"
CSRF_FAILURE_VIEW = "apps.core.views.csrf_failure"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "object-src": ["'none'"],
        "script-src": ["'self'"],
        "worker-src": ["'self'"],
        "style-src": ["'self'"],
        "font-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "connect-src": ["'self'"],
        "manifest-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}

STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False

DISK_LEAST_FREE_PERCENT = env.integer(
    "DISK_LEAST_FREE_PERCENT",
    default=5,
    maximum=90,
    help="Share of a machine's disk that stays free: below it nothing is launched, and what runs is kept.",
)

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"
USE_I18N = False

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "apps.accounts.api.authentication.TokenAuthentication",
        "apps.accounts.api.authentication.BrowserSession",
    ],
    "DEFAULT_PERMISSION_CLASSES": [
        "rest_framework.permissions.IsAuthenticated",
        "apps.accounts.api.authentication.TokenScope",
    ],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_PAGINATION_CLASS": "apps.core.api.pagination.CountedCursorPagination",
    "DEFAULT_FILTER_BACKENDS": [
        "django_filters.rest_framework.DjangoFilterBackend",
        "rest_framework.filters.SearchFilter",
        "apps.core.api.pagination.StableOrderingFilter",
    ],
    "DEFAULT_PARSER_CLASSES": ["apps.core.api.parsers.BoundedJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "EXCEPTION_HANDLER": "apps.core.api.problem.problem_response",
    "PAGE_SIZE": 50,
    "DEFAULT_THROTTLE_CLASSES": ["apps.core.api.throttles.PersonThrottle"],
    # Of a person, pages and API together; `sign-in` is of an address.
    "DEFAULT_THROTTLE_RATES": {
        "user": "1200/min",
        "launch": "60/min",
        "search": "240/min",
        "trials": "12/min",
        "export": "60/hour",
        "tokens": "20/hour",
        "password": "20/hour",
        "sign-in": "100/min",
    },
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Slipway",
    "DESCRIPTION": "Environments, changes, modules and people of the portal. Errors are RFC 9457 problem documents.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "apps.core.api.schema.complete",
    ],
    # Fields of one name with different choices: each set has a name of its own in generated clients.
    "ENUM_NAME_OVERRIDES": {
        "EnvironmentStatusEnum": "apps.environments.models.Environment.Status",
        "RolloutScopeEnum": "apps.environments.models.Rollout.Scope",
        "RolloutStateEnum": "apps.environments.models.Rollout.State",
        "RuntimeStatusEnum": "apps.runtimes.models.RuntimeVersion.Status",
        "SetVariableKindEnum": "apps.variable_sets.models.SetVariable.Kind",
        "GivenCredentialKindEnum": ["deploy_key", "token"],
    },
}

DATA_UPLOAD_MAX_MEMORY_SIZE = 2_000_000
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1000
PASSWORD_RESET_TIMEOUT = 24 * 60 * 60

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"correlation": {"()": "apps.core.correlation.CorrelationFilter"}},
    "formatters": {
        "line": {
            "()": "apps.core.redaction.RedactingFormatter",
            "format": "{asctime} {levelname} {name} [{correlation_id}] {message}",
            "style": "{",
        },
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["correlation"]}},
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {"axes": {"level": "WARNING"}, "aiohttp.access": {"level": "WARNING"}},
}
