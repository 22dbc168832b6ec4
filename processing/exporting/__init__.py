"""Packing photos into zip files, and what is said of each beside it."""
