"""Uploads that come in by more than one request: begun, received, finished as photos, ended and swept."""
