"""Production: refuses to start without keys of its own and without TLS."""

from portal.env import SettingError
from portal.settings.base import *  # noqa: F403
from portal.settings.base import PORTAL_URL, SECRET_KEY, SLIPWAY_KEYS, SLIPWAY_KEYS_FILE

if len(SECRET_KEY) < 50:
    raise SettingError("SECRET_KEY: give at least 50 random characters, for example `openssl rand -base64 48`")
if not SLIPWAY_KEYS and not SLIPWAY_KEYS_FILE:
    raise SettingError("SLIPWAY_KEYS_FILE: name a file with at least one Fernet key; `manage.py make_key` prints one")
if not PORTAL_URL.startswith("https://"):
    raise SettingError("PORTAL_URL: production wants an https:// address")

# Whether a request came by TLS is what uvicorn says, which believes FORWARDED_ALLOW_IPS alone: see portal.up.web.
SECURE_SSL_REDIRECT = True
SECURE_HSTS_SECONDS = 60 * 60 * 24 * 365
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
