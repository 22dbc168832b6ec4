"""Is it well? What probes, operators and Prometheus ask of the web process."""
