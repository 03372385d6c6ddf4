"""Hooks of MkDocs: adds pages that are generated or stand elsewhere in the repository, and adapts their links."""

from __future__ import annotations

import os
import posixpath
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from tools.contract import PROTO, compile_image
from tools.site import program
from tools.site.contract import Contract

ROOT = Path(__file__).resolve().parents[2]
ELSEWHERE = {
    "CONTRIBUTING.md": "how-to/contributor/contributing.md",
    "SECURITY.md": "project/security.md",
    "CHANGELOG.md": "project/changelog.md",
    "deploy/README.md": "how-to/operator/deploy.md",
    "clients/python/README.md": "reference/python-client.md",
    "clients/typescript/README.md": "reference/typescript-client.md",
}
"""Files of the repository that are pages of the site, too."""

SOURCES = {page: file for file, page in ELSEWHERE.items()}
LINK = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?![a-z]+:|#)([^)\s#]+)(#[^)\s]*)?\)")
"""Text, target and fragment of a relative link."""


def generated() -> Iterator[tuple[str, str]]:
    """Yields path and Markdown of each page that is made from the contract or the program."""
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "contract.binpb"
        compile_image(PROTO, image)
        yield from Contract(FileDescriptorSet.FromString(image.read_bytes())).pages()
    yield from program.pages(ROOT / "server")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that are not in docs/."""
    for page, text in generated():
        files.append(File.generated(config, page, content=text))
    for file, page in ELSEWHERE.items():
        files.append(File.generated(config, page, content=(ROOT / file).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Points links at the pages of the site; what the site does not have stays as text, if the repository has it."""
    uri = page.file.src_uri
    source = SOURCES.get(uri, f"docs/{uri}")

    def adapted(found: re.Match[str]) -> str:
        text, link, fragment = found[1], found[2], found[3] or ""
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
        place = ELSEWHERE.get(target) or (target.removeprefix("docs/") if target.startswith("docs/") else "")
        if place:
            return f"[{text}]({os.path.relpath(place, posixpath.dirname(uri) or '.')}{fragment})"
        return text if (ROOT / target).exists() else found[0]

    return LINK.sub(adapted, markdown)
