"""`python -m metricat_tools screenshots --key KEY --node NODE`: take pictures of each view, by size and theme."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from metricat_tools.browser import chromium
from metricat_tools.errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Sequence

IMAGES = Path(__file__).parents[4] / "docs" / "hub" / "images"


def main(arguments: Sequence[str]) -> None:
    """Take the pictures."""
    try:
        from playwright.sync_api import Error, sync_playwright  # noqa: PLC0415 -- the other commands run without it

        from metricat_tools.screenshots.camera import VIEWS, Camera  # noqa: PLC0415
    except ImportError:
        raise ToolError("Playwright is missing. Run make .venv/ready.") from None
    parser = argparse.ArgumentParser(prog="python -m metricat_tools screenshots", description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8428", help="URL of the hub (default %(default)s)")
    parser.add_argument("--key", required=True, help="an API key")
    parser.add_argument("--node", required=True, help="name of the node for the node view")
    parser.add_argument("--view", nargs="+", choices=sorted(VIEWS), default=list(VIEWS), help="views (default: all)")
    parser.add_argument("--out", type=Path, default=IMAGES, help="folder for the pictures (default docs/hub/images)")
    chosen = parser.parse_args(arguments)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        camera = Camera(browser, chosen.url, chosen.key, chosen.out)
        for name in chosen.view:
            path = VIEWS[name].format(node=quote(chosen.node))
            try:
                camera.take(name, path)
            except (Error, AssertionError) as error:
                raise ToolError(f"{chosen.url}{path}: the view does not load: {error}. Check --url and --key") from None
        browser.close()
