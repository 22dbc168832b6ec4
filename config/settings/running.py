"""`make run`: one machine, one command."""

from config.settings.environment import env, path

# a folder that is imported at the start; none: a few photos of scikit-image's
RUN_PHOTOS = str(path("PHOTOS", None) or "")
# exit: stop after the import, with status 0 only if every run came to an end
RUN_WAIT = env.str("WAIT", default="")
# not HOST, which some shells export with the machine's own name
RUN_HOST = env.str("DARKROOM_HOST", default="127.0.0.1")
RUN_PORT = env.int("PORT", default=8000)
# nothing stands in front here that would make the two one address; of the last port the one before it
EVENTS_PORT = env.int("EVENTS_PORT", default=min(RUN_PORT + 1, 65534))
RUN_ADMIN_EMAIL = env.str("DARKROOM_ADMIN_EMAIL", default="") or "admin@example.com"
# none: one is generated, shown once and kept in a file under VAR_DIR
RUN_ADMIN_PASSWORD = env.str("DARKROOM_ADMIN_PASSWORD", default="")
