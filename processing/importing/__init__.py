"""Importing a source: counting its files, taking them in one by one, and telling what is missing."""
