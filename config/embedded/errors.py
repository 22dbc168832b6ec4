class EmbeddedServiceError(Exception):
    """A service could not be started or stopped; the text says why and ends with the service's own log."""
