"""The command `darkroom`: upload folders, search, download; by the client that is generated from the API's schema."""
