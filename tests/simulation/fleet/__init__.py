"""Several hosts with one shared journal, in one deterministic run from one seed.

plan.py         what a seed wants to happen to hosts, to the database and between them
host.py         a machine that can be stopped, lose its disk, and be cut off
engine.py       the database: its clock, its outages and failovers, and each process's way to it
balancer.py     sends candidates to any of them
watch.py        looks on at every statement, in the database's own order
application.py  the backend of all hosts, which knows what the database held at each post
acts.py         does that to them
scene.py        everything there is in one run
run.py          one seed from plan to verdict
verdict.py      what must hold after every run, and which of it when
bugs.py         bugs that the verdict must find: a simulation that finds nothing could be blind
"""

from tests.simulation.fleet.run import simulate

__all__ = ["simulate"]
