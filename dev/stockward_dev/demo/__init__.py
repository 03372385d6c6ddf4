"""`stockward demo`: a shop's day, played against the stack running here."""

from __future__ import annotations

from typing import Annotated

import typer

from stockward_server.commands.options import AsJson
from stockward_server.commands.parsers import number

app = typer.Typer()


@app.command()
def demo(
    patience: Annotated[
        float, typer.Option(parser=number(0.1, 60), metavar="SECONDS", help="How long each step may take.")
    ] = 15.0,
    as_json: AsJson = False,
) -> None:
    """Play a shop's day: publish, hold, order, pay, send off, with both sides notified by webhook.

    It is played on the stack that runs here, under new names each time; what it makes stays there. Webhooks are
    received by the demo itself, unless their URLs are set. Exit code 0: all of it happened; 1: something did not.
    """
    from stockward_dev.demo.output import DidNotHappen, Telling
    from stockward_dev.demo.performance import perform
    from stockward_server.commands.connection import UNREACHABLE, fail, nothing_runs, run_call
    from stockward_server.config import Use, load_settings
    from stockward_server.config.run_file import RunFile

    stack = RunFile.read(load_settings(Use.NONE).home)
    if stack is None:
        fail(nothing_runs(), UNREACHABLE)
    try:
        run_call(perform(stack, Telling(patience, as_json=as_json)))
    except DidNotHappen as error:
        fail(f"{error}\n  The logs of the stack may say why: {load_settings(Use.NONE).home / 'logs'}")
