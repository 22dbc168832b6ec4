"""The stream of events (docs/events.md). Times are seconds."""

from config.settings.environment import env

# what a listener may have missed and still be told, when it comes back with the id of the last one that it has read
EVENTS_KEEP_SECONDS = env.int("EVENTS_KEEP_SECONDS", default=24 * 3600)
# where clients reach the process of events, as in https://photos.example.org; unset: at the address of the API itself,
# since a proxy in front sends it there
EVENTS_URL = env.str("EVENTS_URL", default="").rstrip("/")
# of `make run`, where nothing stands in front: the port beside that of the web server
EVENTS_PORT = 0

# a comment is sent after so much silence, or proxies would take the connection for dead
EVENTS_HEARTBEAT_SECONDS = env.float("EVENTS_HEARTBEAT_SECONDS", default=15)
# how long somebody who lost access may go on listening
EVENTS_CHECK_SECONDS = env.float("EVENTS_CHECK_SECONDS", default=30)
# how often it is looked for events whose hint was lost
EVENTS_POLL_SECONDS = env.float("EVENTS_POLL_SECONDS", default=1)
# threads, each with a database connection, for those who come and for what they have missed; one more reads what is new
EVENTS_THREADS = env.int("EVENTS_THREADS", default=3)

# streams that one process keeps open, and those of one person or key, and of one address
EVENTS_LISTENERS = env.int("EVENTS_LISTENERS", default=5000)
EVENTS_LISTENERS_PER_USER = env.int("EVENTS_LISTENERS_PER_USER", default=30)
EVENTS_LISTENERS_PER_ADDRESS = env.int("EVENTS_LISTENERS_PER_ADDRESS", default=300)
# events that wait for a client which does not read them, before it is cut off; it goes on where it ended
EVENTS_WAITING = env.int("EVENTS_WAITING", default=10_000)
# how long a ticket is worth something that nobody has used
EVENTS_TICKET_SECONDS = env.int("EVENTS_TICKET_SECONDS", default=60)
