"""The proof that nothing is lost, doubled, wrong, stuck or leaked; and the repair of what is."""
