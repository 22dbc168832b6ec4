"""Guessing passwords: django-axes counts wrong ones in the database and locks for a while."""

from datetime import timedelta

from config.settings.environment import env

# wrong passwords for one account from one address (of IPv6: from one network of 64 bits)
AXES_FAILURE_LIMIT = env.int("LOCKOUT_FAILURES", default=5)
# from all addresses together: more, since whoever reaches it keeps the account's owner out too
LOCKOUT_ACCOUNT_FAILURES = env.int("LOCKOUT_ACCOUNT_FAILURES", default=50)
# after the last of them; attempts meanwhile do not prolong it
AXES_COOLOFF_TIME = timedelta(seconds=env.int("LOCKOUT_SECONDS", default=900))
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False

AXES_HANDLER = "accounts.lockout.LockoutHandler"
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_USERNAME_CALLABLE = "accounts.lockout.account_name"
AXES_CLIENT_IP_CALLABLE = "accounts.client_address.client_network"
AXES_LOCKOUT_CALLABLE = "config.lockout.locked_out"
# by a login that is complete, its second factor shown
AXES_RESET_ON_SUCCESS = True
# the audit trail tells of logins
AXES_DISABLE_ACCESS_LOG = True
# its pages wear the old look
AXES_ENABLE_ADMIN = False
# neither logs nor rows tell more than is needed for counting
AXES_VERBOSE = False
AXES_SENSITIVE_PARAMETERS = ["username", "email", "ip_address", "code", "csrfmiddlewaretoken", "next"]
