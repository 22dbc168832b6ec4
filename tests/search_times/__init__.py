"""How fast photos are found among a million: a data set made by a command, and the time and plan of every filter."""
