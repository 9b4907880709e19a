"""Production: refuses to start without keys of its own and without TLS."""

from portal.env import SettingError
from portal.settings.base import *  # noqa: F403
from portal.settings.base import PORTAL_URL, SECRET_KEY, SLIPWAY_KEYS

if len(SECRET_KEY) < 50:
    raise SettingError("SECRET_KEY: give at least 50 random characters, for example `openssl rand -base64 48`")
if not SLIPWAY_KEYS:
    raise SettingError("SLIPWAY_KEYS: give at least one Fernet key; `manage.py make_key` prints one")
if not PORTAL_URL.startswith("https://"):
    raise SettingError("PORTAL_URL: production wants an https:// address")

SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = True
SECURE_HSTS_SECONDS = 60 * 60 * 24 * 365
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
