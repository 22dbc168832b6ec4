"""The fault harness: a whole Darkroom of processes, real photos, faults on a seeded schedule, and a verdict.

    make faults FAULTS=child_kill,redis_wipe SEED=1 COUNT=100 PHOTOS=<folder>

Production code does not know of it: named points are wrapped around its functions when Django starts with
`faults.settings`, and whatever reaches a point looks whether an order lies there for it.
"""
