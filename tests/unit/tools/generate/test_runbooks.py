"""Each alert has its runbook, from the catalogue, with a hand-written remedy."""

import pytest

from metricat_rules.catalogue import CATALOGUE, Alert
from metricat_rules.hub import HUB_ALERTS
from metricat_rules.operator import OPERATOR_ALERTS
from metricat_tools.generate.runbooks import BY_HAND, page
from support.paths import DOCS

PAGES = DOCS / "runbooks"
ALERTS = (*CATALOGUE, *OPERATOR_ALERTS, *HUB_ALERTS)


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_page_is_up_to_date_and_has_a_remedy(alert: Alert) -> None:
    text = (PAGES / f"{alert.name}.md").read_text()
    assert text == page(alert, text)
    assert len(text.partition(BY_HAND)[2].split()) > 20


def test_no_page_remains_of_a_removed_alert() -> None:
    pages = {path.stem for path in PAGES.glob("*.md")}
    assert pages == {alert.name for alert in ALERTS} | {"README"}


def test_hand_written_part_is_kept_and_the_rest_is_replaced() -> None:
    [alert] = [alert for alert in CATALOGUE if alert.name == "NodeDiskAwaitHigh"]
    new = page(alert, f"stale words\n\n{BY_HAND}\nLook at the disk.\n")
    assert new.endswith(f"{BY_HAND}\nLook at the disk.\n")
    assert "stale words" not in new
    assert "| critical | 500 milliseconds | 5m | 5m |" in new
    assert "rate(node_disk_reads_completed_total[1m])" in new
    assert "<selector>" not in new
