"""The process that streams events: everybody waits in one event loop, and one connection reads what is new for all."""
