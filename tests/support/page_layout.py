"""The layout of a page as text: the place and the size of each named part, and what does not fit.

See docs/design/0047-layout-as-text.md.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

TOLERANCE = 16
"""Pixels. Fonts of other systems, and other digits, move elements by some pixels."""
SHARE = 0.06
"""The same as a share of a number: a long text is longer in another font."""

_BOXES = """
() => {
  const parts = "nav.nav, header.head, main, h1, h2, .toolbar, .tabs, .counts, .tiles, .card, table, thead, figure, "
    + "form, .message, .section-head .button, .toolbar input, .toolbar select, .notice, dl.figures";
  const name = (element) => {
    const text = element.matches("h1, h2, .button") ? element.textContent : "";
    const label = (element.getAttribute("aria-label") ?? text).replace(/\\d[\\d.,:% ]*/g, "#").trim().slice(0, 40);
    const kind = element.classList.length > 0 ? `.${element.classList[0]}` : "";
    return `${element.tagName.toLowerCase()}${kind} ${label}`.trim();
  };
  const visible = (element) => {
    const box = element.getBoundingClientRect();
    return box.width > 1 && box.height > 1 && getComputedStyle(element).visibility !== "hidden";
  };
  return [...document.querySelectorAll(parts)].filter(visible).map((element) => {
    const box = element.getBoundingClientRect();
    const numbers = [box.left + scrollX, box.top + scrollY, box.width, box.height].map(Math.round);
    return `${name(element)} | ${numbers.join(" ")}`;
  });
}
"""
_MISFITS = """
() => {
  const found = [];
  const name = (element) =>
    `${element.tagName.toLowerCase()}.${element.className} ${(element.textContent ?? "").trim().slice(0, 40)}`;
  const width = document.documentElement.clientWidth;
  const scrolls = (element) => /auto|scroll/.test(getComputedStyle(element).overflowX);
  const inScroller = (element) => {
    for (let at = element.parentElement; at; at = at.parentElement) if (scrolls(at)) return true;
    return false;
  };
  const kinds = ["button", "a", "input", "select", "textarea"];
  const controls = [...document.querySelectorAll(kinds.flatMap((kind) => [`main ${kind}`, `header ${kind}`]).join())]
    .filter((element) => element.getClientRects().length > 0 && !element.closest(".visually-hidden, .skip"));
  for (const element of controls) {
    const box = element.getBoundingClientRect();
    const isOutside = box.right > width + 1 || box.left < -1;
    if (isOutside && !inScroller(element)) found.push(`outside of the window: ${name(element)}`);
    // Links within text and rows have enough distance, and the labels of checkboxes are parts of them.
    const isExempt = element.matches("a, input[type=checkbox], input[type=radio]");
    const isSmall = box.height < 23.5 || box.width < 23.5;
    if (isSmall && !isExempt) found.push(`smaller than 24 px: ${name(element)}`);
    const isLonger = element.scrollWidth > element.clientWidth + 1;
    if (isLonger && element.matches("button")) found.push(`text does not fit: ${name(element)}`);
  }
  const buttons = controls.filter((element) => element.matches("button, input, select, textarea"));
  const boxes = buttons.map((element) => element.getBoundingClientRect());
  for (let one = 0; one < boxes.length; one++)
    for (let other = one + 1; other < boxes.length; other++) {
      const [a, b] = [boxes[one], boxes[other]];
      const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (across > 2 && down > 2) found.push(`overlap: ${name(buttons[one])} and ${name(buttons[other])}`);
    }
  if (document.documentElement.scrollWidth > width) found.push("the page scrolls sideways");
  return found;
}
"""


def layout(page: Page) -> str:
    """Return one line for each named part: its name, then left, top, width and height in pixels."""
    return "".join(f"{line}\n" for line in page.evaluate(_BOXES))


def misfits(page: Page) -> list[str]:
    """Return controls that are too small, outside of the window, overlapping, or with text that does not fit."""
    found: list[str] = page.evaluate(_MISFITS)
    return found


def differences(stored: str, found: str) -> list[str]:
    """Return the lines that differ by more than the tolerance, and those that only one of the layouts has."""
    before, after = stored.splitlines(), found.splitlines()
    if [_name(line) for line in before] != [_name(line) for line in after]:
        missing = [f"missing: {line}" for line in before if _name(line) not in map(_name, after)]
        added = [f"new: {line}" for line in after if _name(line) not in map(_name, before)]
        return missing + added or ["the parts have another order or number"]
    return [
        f"{one}   now {other.partition('|')[2]}" for one, other in zip(before, after, strict=True) if _moved(one, other)
    ]


def _name(line: str) -> str:
    return line.partition(" | ")[0]


def _moved(one: str, other: str) -> bool:
    pairs = zip(_numbers(one), _numbers(other), strict=True)
    return any(abs(before - after) > max(TOLERANCE, SHARE * before) for before, after in pairs)


def _numbers(line: str) -> list[int]:
    return [int(number) for number in re.findall(r"-?\d+", line.partition(" | ")[2])]
