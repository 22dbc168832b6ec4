"""Logs: one record a line, to standard error."""

from config.logging import logging_config
from config.settings.environment import env

LOG_LEVEL = env.str("LOG_LEVEL", default="INFO").upper()
# line: for people. json: an object a line, for whatever collects them
LOG_FORMAT = env.str("LOG_FORMAT", default="line")

LOGGING = logging_config(level=LOG_LEVEL, form=LOG_FORMAT)
