"""`stockward import`: data from files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stockward_server.commands.options import EPILOG, Address, AsJson, Delimiter, Encoding, Key, group

app = group("import")


@app.callback()
def data() -> None:
    """Makes a group of it, though it has one command."""


@app.command(epilog=EPILOG)
def products(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="Product export in Shopify's CSV format; - reads stdin.", allow_dash=True),
    ],
    publish: Annotated[bool, typer.Option("--publish", help="Publish what the file does not mark as a draft.")] = False,
    stock: Annotated[
        bool,
        typer.Option("--stock", help="Set units on hand to the file's quantities, and backorders to its policies."),
    ] = False,
    make_skus: Annotated[bool, typer.Option("--make-skus", help="Make empty SKUs from handle and options.")] = False,
    currency: Annotated[str, typer.Option(help="Currency of the file's prices (ISO 4217).")] = "EUR",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check all of it, on the server too, and write nothing.")
    ] = False,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    address: Address = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Create or update products, matched by handle; a product goes in whole or not at all.

    Exit code 1 when some rows were refused: the report says which, and why. Warnings do not change the exit code.
    """
    from stockward_server.commands.connection import WRONG_USAGE, fail, run_call
    from stockward_server.commands.csv_file import FileUnreadable
    from stockward_server.commands.output import working
    from stockward_server.commands.product_import import ProductImport
    from stockward_server.commands.shopify_csv import read_products

    try:
        with working(f"Reading {file}"):
            contents = read_products(
                file,
                currency.upper(),
                make_skus=make_skus,
                with_stock=stock,
                delimiter=delimiter,
                encoding=encoding,
            )
    except FileUnreadable as error:
        fail(str(error), WRONG_USAGE)
    work = ProductImport(file, contents, publish=publish, stock=stock, dry_run=dry_run)
    run_call(work.run(address, key), "Run it again: what is imported already stays as it is")
    work.report(as_json)
    raise typer.Exit(1 if work.refused else 0)
