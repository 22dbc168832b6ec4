"""The kinds of work whose subject is a library."""
