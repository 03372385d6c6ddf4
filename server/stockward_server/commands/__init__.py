"""Subcommands of `stockward`, one module each.

A module offers ``app = typer.Typer()`` (a group gives it a name: ``typer.Typer(name="keys")``) and is added
in ``stockward_server.cli`` by one line: ``app.add_typer(keys.app)``. Settings come from
``stockward_server.config.load_settings()``, the addresses and keys of a running stack from
``stockward_server.config.run_file.RunFile.read``. Heavy imports belong inside the command's function, so that
`stockward version` stays instant.
"""
