"""Finding photos: by words, by place, by what is nearest; and counts of what was found. Reads alone."""
