"""The database backend in use while no database runs: commands that need none work, the others say what is missing."""
