"""Production's settings for the processes of a harness, and the app that wraps the named points."""

import os
from pathlib import Path

from config.settings.production import *

# where orders lie and events are written; given by the harness
FAULTS_DIR = Path(os.environ["FAULTS_DIR"])
INSTALLED_APPS = [*INSTALLED_APPS, "faults"]
# "plain": the pipeline that most projects write, for comparison; "bare": no point is wrapped, no history written
FAULTS_PIPELINE = os.environ.get("FAULTS_PIPELINE", "")

# the harness is one client from one address, and asks as often as it can
REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"] = dict.fromkeys(REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"])

# no page is rendered here, so nothing is collected for one
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
STATIC_ROOT = None
WHITENOISE_USE_FINDERS = True

# a message that is not acknowledged comes back after this: one fault makes it shorter than the work
if _seconds := os.environ.get("FAULTS_VISIBILITY_TIMEOUT"):
    CELERY_BROKER_TRANSPORT_OPTIONS = {**CELERY_BROKER_TRANSPORT_OPTIONS, "visibility_timeout": int(_seconds)}
