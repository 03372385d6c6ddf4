"""Reports of a run: a table for people, JSON for scripts, and the trace of the first violation as a file."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from torture.checks import Finding, Violation
from torture.history import Outcome
from torture.run import Plan, Result

FOLDER = Path(".build") / "torture"
SHOWN = 5
"""Maximum number of violations of one check that are printed."""


def write(result: Result, folder: Path = FOLDER) -> Path | None:
    """Writes the history and the trace of the first violation; returns the trace's path, or None without a
    violation."""
    folder.mkdir(parents=True, exist_ok=True)
    result.history.write(folder / "history.jsonl")
    (folder / "report.json").write_text(json.dumps(as_json(result), indent=2) + "\n")
    trace = folder / "first-violation.txt"
    trace.unlink(missing_ok=True)
    first = first_violation(result)
    if first is None:
        return None
    finding, violation = first
    lines = [
        f"Seed {result.plan.seed}, {result.plan.seconds:g} s. Broken: {finding.promise}.",
        violation.message,
        "",
        "All calls that have to do with it, and all that was done to the stack:",
        *result.history.about(*(subject for subject in violation.subjects if subject)),
    ]
    trace.write_text("\n".join(lines) + "\n")
    return trace


def first_violation(result: Result) -> tuple[Finding, Violation] | None:
    for finding in result.findings:
        for violation in finding.violations:
            return finding, violation
    return None


def again(plan: Plan) -> str:
    """Returns the command that repeats the run."""
    broken = f"BROKEN={plan.broken} " if plan.broken else ""
    arguments = f'ARGS="--servers {plan.servers} --clients {plan.clients}"'
    return f"SEED={plan.seed} DURATION={plan.seconds:g} {broken}make torture {arguments}"


def as_json(result: Result) -> dict[str, Any]:
    before, after = result.paces
    return {
        "seed": result.plan.seed,
        "seconds": result.plan.seconds,
        "clients": result.plan.clients,
        "servers": result.plan.servers,
        "broken": result.plan.broken,
        "held": result.held,
        "faults": dict(Counter(fault.name for fault in result.faults)),
        "commits_lost": result.commits_lost,
        "calls": {outcome.value: result.outcomes[outcome] for outcome in Outcome},
        "attempts": sum(len(call.attempts) for call in result.history.calls),
        "calls_per_second": {"before": round(before.rate, 1), "after": round(after.rate, 1)},
        "median_milliseconds": {"before": round(1000 * before.latency, 1), "after": round(1000 * after.latency, 1)},
        "settled_after_seconds": round(result.settled_after, 1),
        "checks": [
            {
                "check": finding.check,
                "promise": finding.promise,
                "examined": finding.examined,
                "violations": [violation.message for violation in finding.violations],
            }
            for finding in result.findings
        ],
    }


def show(result: Result, trace: Path | None, console: Console) -> None:
    faults = Table("Fault", "Times", box=SIMPLE, title="What was done", title_justify="left")
    for name, count in sorted(Counter(fault.name for fault in result.faults).items()):
        faults.add_row(name, str(count))
    faults.add_row("COMMITs lost, or their answers", str(result.commits_lost))
    calls = Table("Calls", "", box=SIMPLE, title="What clients saw", title_justify="left")
    for outcome in Outcome:
        calls.add_row(outcome.value, f"{result.outcomes[outcome]:,}")
    calls.add_row("attempts", f"{sum(len(call.attempts) for call in result.history.calls):,}")
    for when, pace in zip(("before", "after"), result.paces, strict=True):
        calls.add_row(f"per second, {when}", f"{pace.rate:.0f}")
        calls.add_row(f"half within, {when}", f"{1000 * pace.latency:.0f} ms")
    calls.add_row("all reported after", f"{result.settled_after:.1f} s")
    for table in (faults, calls):
        table.columns[1].justify = "right"
        console.print(table)
    checks = Table("", "Promise", "Looked at", "Broken", box=SIMPLE, title="What held", title_justify="left")
    checks.columns[2].justify = checks.columns[3].justify = "right"
    for finding in result.findings:
        sign = Text("✗", "bold red") if finding.violations else Text("✓", "green")
        checks.add_row(sign, finding.promise, f"{finding.examined:,}", str(len(finding.violations) or ""))
    console.print(checks)
    for finding in result.findings:
        for violation in finding.violations[:SHOWN]:
            console.print(Text(f"✗ {finding.check}: {violation.message[:500]}", "red"))
    if trace:
        console.print(f"Trace of the first violation: {trace}", soft_wrap=True)
        console.print(f"Again: {again(result.plan)}", soft_wrap=True)
    else:
        console.print(f"Every promise held (seed {result.plan.seed}).", style="bold green")
