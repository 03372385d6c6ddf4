"""The documentation site: it builds, a broken link fails it, and its pages load nothing from elsewhere."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort

from stockward_server.edge.contract import installed_contract, routes
from tools.site.program import found_metrics

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parents[2]
LOADED = re.compile(r"""(?:<(?:script|img|iframe|source)\b[^>]*\bsrc|<link\b[^>]*\bhref)=["']?(?:https?:)?//""")


def made(docs: Path, site: Path) -> Path:
    """Builds the site of the folder `docs` into `site`, as `make docs` does."""
    build(load_config(str(ROOT / "mkdocs.yml"), docs_dir=str(docs), site_dir=str(site), strict=True))
    return site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(ROOT / "docs", tmp_path_factory.mktemp("site"))


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    assert not [page for page in pages if LOADED.search(page.read_text(encoding="utf-8"))]
    styles = [file.read_text(encoding="utf-8") for file in site.rglob("*.css")]
    assert not [style for style in styles if re.search(r"(?:url\(|@import )[\"']?(?:https?:)?//", style)]


def test_the_reference_has_every_method_with_its_routes(site: Path) -> None:
    for route in routes(installed_contract()):
        pages = (site / "reference" / "rpc").glob("*.html")
        found = [page for page in pages if f'id="{route.method.name}"' in page.read_text(encoding="utf-8")]
        assert any(f"{route.verb} {route.path}" in page.read_text(encoding="utf-8") for page in found), route.path


@pytest.mark.parametrize(
    ("page", "texts"),
    [
        ("error-reasons", ("INSUFFICIENT_STOCK", "PAGE_TOKEN_INVALID", "SKU_UNKNOWN")),
        ("permissions", ("CreateOrder", "RotateKey", "anybody with a valid signature")),
        ("field-limits", ("CreateOrderRequest", "at most 1,000 elements")),
        ("settings", ("DATABASE_URL", "STOCKWARD_WEBHOOK_NETWORKS", "STOREFRONT_WEBHOOK_SECRET")),
        ("command-line", ("stockward stock receive", "--request-id", "Exit codes")),
        ("metrics", ("stockward_refusals_total", "rpc_server_duration_seconds", "stockward_outbox_pending_events")),
    ],
)
def test_a_page_of_the_reference_has_what_it_is_made_from(site: Path, page: str, texts: tuple[str, ...]) -> None:
    made = (site / "reference" / f"{page}.html").read_text(encoding="utf-8")
    assert not [text for text in texts if text not in made]


def test_every_metric_of_the_dashboard_is_found() -> None:
    known = {re.sub("_total$", "", name) for name in found_metrics(ROOT / "server")}
    used = set(re.findall(r"\bstockward_[a-z_]+", (ROOT / "deploy/grafana/stockward.json").read_text()))
    assert len(used) > 20
    assert not {re.sub("_(total|bucket|count|sum)$", "", name) for name in used} - known


@pytest.mark.long  # each builds the whole site
@pytest.mark.parametrize(
    "link", ["[gone](gone.md)", "[no heading](limits.md#gone)", "[gone](../../gone.toml)", "[gone](rpc/order.md#Gone)"]
)
def test_a_broken_link_fails_it(tmp_path: Path, link: str) -> None:
    docs = tmp_path / "docs"
    shutil.copytree(ROOT / "docs", docs)
    with (docs / "reference" / "limits.md").open("a") as page:
        page.write(f"\n{link}\n")
    with pytest.raises(Abort):
        made(docs, tmp_path / "site")
