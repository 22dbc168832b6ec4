"""`make run`: everything on one machine, from one command, until Ctrl-C."""
