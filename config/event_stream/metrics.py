"""What Prometheus is told of the streams, by the process itself."""

from prometheus_client import Counter, Gauge, Histogram

SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)

LISTENERS = Gauge("darkroom_event_listeners", "Streams of events that are open.")
ENDED = Counter("darkroom_event_streams_ended", "Streams of events that ended, by why.", ["reason"])
READ = Counter("darkroom_events_read", "Events that were read, each once for all who listen.")
DELAY = Histogram("darkroom_event_delay_seconds", "Seconds until the oldest event of a read is told.", buckets=SECONDS)
FEED_UP = Gauge("darkroom_event_feed_up", "Whether events can be read: 0 while the database is away.")
