"""Ranked reads: what is nearest to something, bounded and with its distance."""
