"""No caller can slow another: a stack of its own is attacked while a second caller, who behaves, is timed.

`make attack` runs all of it and prints a table; docs/concepts/threat-model.md says against whom.

    bodies.py     what is sent: small, and full of one thing
    attacks.py    what is done to the stack
    attacker.py   the process that does it
    stack.py      PostgreSQL, NATS, one server process and one edge, in a directory of their own
    neighbour.py  the caller who behaves, and how long it waits
    trial.py      one attack, and the judgement
    unguarded.py  builds without a guard, each to be seen by its attack
"""
