"""The faults, a module for each kind."""
