"""Every page of the documentation's site in a browser, on a phone and on a desktop."""

import functools
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Page

from support.browser import Errors, new_context, running_browser
from support.paths import ROOT

pytestmark = pytest.mark.slow

PHONE, DESKTOP = 360, 1440
"""Widths in pixels."""
WITHOUT_TITLE = {"search.html"}
"""Pages of the theme whose title is not in the article."""

FAULTS = """() => {
  const width = document.documentElement.clientWidth;
  const found = [];
  if (document.documentElement.scrollWidth > width) found.push(`the page is wider than ${width} px`);
  for (const image of document.images) if (image.naturalWidth === 0) found.push(`broken image ${image.src}`);
  if (document.querySelector(".highlight-mermaid")) found.push("a diagram is not drawn");
  const headings = [...document.querySelectorAll("article :is(h1, h2, h3, h4, h5, h6)")];
  const levels = headings.map((one) => Number(one.tagName[1]));
  if (levels.filter((one) => one === 1).length !== 1 || levels[0] !== 1) found.push(`headings of levels ${levels}`);
  levels.forEach((level, at) => {
    if (at && level > levels[at - 1] + 1) found.push(`no level before "${headings[at].textContent}"`);
  });
  for (const heading of headings) {
    const walker = document.createTreeWalker(heading, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const text = walker.currentNode;
      for (const word of text.data.matchAll(/[^\\s-]+/g)) {
        const range = document.createRange();
        range.setStart(text, word.index);
        range.setEnd(text, word.index + word[0].length);
        const lines = new Set([...range.getClientRects()].map((one) => Math.round(one.top)));
        if (lines.size > 1) found.push(`"${word[0]}" is broken in "${heading.textContent}"`);
      }
    }
  }
  return found;
}"""


class Quiet(SimpleHTTPRequestHandler):
    """Serves files without a log."""

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def site() -> Path:
    """The built site."""
    subprocess.run(["make", "--silent", "docs"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return ROOT / "dist" / "docs"


@contextmanager
def opened(url: str) -> Iterator[tuple[Page, list[str]]]:
    """Open a page without a URL, and return it with the list of its failed requests and messages of the console."""
    with running_browser() as browser, new_context(browser, url, width=PHONE, height=740) as context:
        page = context.new_page()
        errors = Errors(page)
        page.on("response", lambda got: errors.found.append(f"{got.status} {got.url}") if got.status >= 400 else None)
        yield page, errors.found


def test_every_page_fits_phones_and_desktops(site: Path) -> None:
    """No page is wider than the screen, and headings, images, diagrams and scripts are intact."""
    pages = sorted(str(one.relative_to(site)) for one in site.rglob("*.html"))
    assert len(pages) > 150
    faults: list[str] = []
    with served(site) as url, opened(url) as (page, errors):
        for name in pages:
            errors.clear()
            page.set_viewport_size({"width": PHONE, "height": 740})
            page.goto(f"/{name}")
            if (site / name).read_text().count("highlight-mermaid"):
                page.wait_for_selector(".highlight-mermaid", state="detached")
                page.wait_for_function("() => [...document.querySelectorAll('[data-processed]')].length > 0")
            found = [fault for fault in page.evaluate(FAULTS) if name not in WITHOUT_TITLE or "levels" not in fault]
            page.set_viewport_size({"width": DESKTOP, "height": 900})
            wide = [fault for fault in page.evaluate(FAULTS) if "wider" in fault or "broken" in fault]
            faults += [f"{name}: {one}" for one in (*found, *wide, *errors)]
    assert faults == []
