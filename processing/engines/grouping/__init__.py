"""Grouping: the face embeddings of one library become persons.

A partition is a pure function of the set of vectors: neither the order in which faces arrived nor how often
the library was regrouped on the way shows in it. `linkage` holds the rule, `partition` applies it to a whole
library or to what a change touches, `persons` carries names and human decisions over.
"""

from processing.engines.grouping.partition import Regrouping, group, regroup
from processing.engines.grouping.persons import Assignment, NewPerson, assign_persons

__all__ = ["Assignment", "NewPerson", "Regrouping", "assign_persons", "group", "regroup"]
