"""Plan, run, advance: how a photo goes through its stages."""
