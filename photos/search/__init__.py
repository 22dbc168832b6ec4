"""Finding photos: by words, by where they were taken, and counts of what was found. Reads alone."""
