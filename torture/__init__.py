"""`make torture`: the whole stack in processes of its own is broken while clients work, and what they saw is judged.

    stack.py     the processes, each behind a proxy to PostgreSQL; process.py is what they run
    faults.py    what is done to them, and when: drawn from a seed
    workload.py  what clients do meanwhile; calls.py makes the calls, history.py keeps what came of each
    listeners.py where events are received: webhooks, the stream, ListEvents, watches
    checks/      what must hold of the history, the counters and the ledger
    broken.py    builds that break a promise on purpose: each check has one that it must find
    run.py       one run from start to verdict; report.py shows it

A call ends ok, fail or unknown, as Jepsen has it: ok must be there exactly once, fail must have done nothing, and
unknown may be either, but once at most.
"""
