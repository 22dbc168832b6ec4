"""Grouping: the face embeddings of one library become persons.

A partition is a pure function of the set of vectors and of what people have decided: neither the order in which
faces arrived nor how often the library was regrouped on the way shows in it. `linkage` holds the rule, `limits`
what people forbid it, `partition` applies it to a whole library or to what a change touches, `persons` says who
each cluster is.
"""

from processing.engines.grouping.limits import NOBODY, Decisions
from processing.engines.grouping.partition import Regrouping, group, regroup
from processing.engines.grouping.persons import NewPerson, Verdicts, assign_persons

__all__ = ["NOBODY", "Decisions", "NewPerson", "Regrouping", "Verdicts", "assign_persons", "group", "regroup"]
