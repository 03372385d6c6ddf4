"""`make torture`: breaks the whole stack, each part in its own process, while clients work, and checks what they saw.

    stack.py     the processes, each behind a proxy to PostgreSQL; process.py is their entry point
    faults.py    the faults and their schedule, drawn from a seed
    workload.py  the clients' work; calls.py makes the calls, history.py records the result of each
    listeners.py receivers of events: webhooks, the stream, ListEvents, watches
    checks/      what must hold of the history, the counters and the ledger
    broken.py    builds that break a promise on purpose: each check has one that it must find
    run.py       one run from start to verdict; report.py prints it

A call ends ok, fail or unknown, as in Jepsen: ok must have taken effect exactly once, fail not at all, and unknown at
most once.
"""
