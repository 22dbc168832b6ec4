"""Mail: invitations and links that set a new password."""

from config.settings.environment import env
from config.settings.running import RUN_PORT

# smtp+tls://user:password@mail.example.org:587; without one mail is printed where the web server writes its output, so
# that an installation on one machine can be tried
_mail = env.email_url_config(env.str("EMAIL_URL", default="") or "consolemail://")

EMAIL_BACKEND = _mail["EMAIL_BACKEND"]
EMAIL_HOST = _mail["EMAIL_HOST"] or "localhost"
EMAIL_PORT = _mail["EMAIL_PORT"] or 25
EMAIL_HOST_USER = _mail["EMAIL_HOST_USER"] or ""
EMAIL_HOST_PASSWORD = _mail["EMAIL_HOST_PASSWORD"] or ""
EMAIL_USE_TLS = _mail.get("EMAIL_USE_TLS", False)
EMAIL_USE_SSL = _mail.get("EMAIL_USE_SSL", False)
# of each step of the talk with the server, and how long a request waits for all of them; seconds
EMAIL_TIMEOUT = 5

DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="") or "Darkroom <darkroom@localhost>"

# what links in mails begin with: where people find the pages of this installation
PUBLIC_URL = (env.str("PUBLIC_URL", default="") or f"http://localhost:{RUN_PORT}").rstrip("/")
