"""The settings of a worker whose decoder breaks where a file says so: faults that no file can make, for tests alone."""

from config.settings.test import *  # noqa: F403 - as each settings module begins

INSTALLED_APPS += ["hostile_decoder.HostileDecoderConfig"]  # noqa: F405 - it comes from there
