"""Django settings, made from the environment; nothing here is edited by hand."""

from pathlib import Path

from csp.constants import NONE, SELF

from gatewaysite.databases import database_settings
from gatewaysite.environment import read_environment
from policies.yaml_text import MAX_BYTES

BASE_DIR = Path(__file__).resolve().parent.parent
ENVIRONMENT = read_environment()

DEBUG = False
SECRET_KEY = ENVIRONMENT.session_key
SECRET_KEYS = ENVIRONMENT.keys
ALLOWED_HOSTS = list(ENVIRONMENT.console_hosts)
ROOT_URLCONF = "gatewaysite.urls"
ASGI_APPLICATION = "gatewaysite.asgi.application"
WSGI_APPLICATION = "gatewaysite.wsgi.application"
# Widgets of our own are rendered from templates/ like every page.
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"

INSTALLED_APPS = [
    "policies",
    "oidc_clients",
    "accounts",
    "apis",
    "gatewaysite",
    "csp",
    "gatewaysite.apps.ConsoleConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.forms",
    "django_otp",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "accounts.sessions.SessionLimits",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "gatewaysite.refusals.RefusalMiddleware",
]

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
            ],
        },
    },
]

DATABASES = {"default": database_settings(ENVIRONMENT.database)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHES = {
    "default": {"BACKEND": "policies.cache.StateCache", "LOCATION": ENVIRONMENT.state},
}
SILENCED_SYSTEM_CHECKS = [
    "django_ratelimit.W001",  # it knows Django's backends; ours increments atomically
    "security.W005",  # HSTS for other names below the console's is for their owner to promise
    "security.W021",  # so is HSTS preload
    "security.W008",  # nothing to redirect: the console's listener speaks one scheme only
]

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True  # served from where they are installed: there is nothing to collect

# Passwords first; the other one runs for the callback of a provider alone (accounts.backend).
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "accounts.backend.ConsoleBackend",
]
OIDC_USE_PKCE = True
OIDC_USE_NONCE = True
OIDC_TIMEOUT = 5
OIDC_TOKEN_USE_BASIC_AUTH = True
OIDC_CREATE_USER = False
OIDC_STORE_ACCESS_TOKEN = OIDC_STORE_ID_TOKEN = False

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "frame-ancestors": [NONE],
        "form-action": [SELF],
        "base-uri": [NONE],
        "object-src": [NONE],
    },
}
# A form takes any OpenAPI document that a file takes; browsers send line ends as two bytes.
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * MAX_BYTES
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"

# The console is plain HTTP on loopback by default; behind HTTPS its cookies become __Host-.
SECURE_COOKIES = ENVIRONMENT.public_url.startswith("https://")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_COOKIES
SESSION_COOKIE_NAME = "__Host-console" if SECURE_COOKIES else "console"
CSRF_COOKIE_NAME = "__Host-csrf" if SECURE_COOKIES else "csrf"
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 24 * 3600  # at most; what ends a session is accounts.sessions
SECURE_HSTS_SECONDS = 31536000 if SECURE_COOKIES else 0

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "%(asctime)s %(levelname)s %(process)d %(name)s: %(message)s"}
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
}
