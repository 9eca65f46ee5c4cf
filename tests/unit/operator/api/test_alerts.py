"""`by_alert` returns the settings of the spec, completed by the defaults of the catalogue."""

from metricat_operator.api.alerts import AlertRules
from metricat_operator.api.v1alpha1 import PoolRules
from metricat_rules.catalogue import CATALOGUE
from metricat_rules.settings import AlertSettings, LevelSettings

WRITTEN = {
    "NodeCPUUsageHigh": {
        "warning": {"threshold": 70, "for": "1h"},
        "critical": {"enabled": False},
        "labels": {"team": "a"},
    }
}


def test_settings_hold_every_level_of_the_catalogue_with_its_defaults() -> None:
    assert AlertRules().by_alert() == {
        alert.name: AlertSettings(
            {
                level.severity: LevelSettings(duration=level.duration, threshold=level.threshold)
                for level in alert.levels
            },
            {},
        )
        for alert in CATALOGUE
    }


def test_settings_hold_what_is_written() -> None:
    assert AlertRules.model_validate(WRITTEN).by_alert()["NodeCPUUsageHigh"] == AlertSettings(
        {
            "warning": LevelSettings(duration="1h", threshold=70),
            "critical": LevelSettings(enabled=False, duration="2h", threshold=95),
        },
        {"team": "a"},
    )


def test_written_settings_of_a_pool_have_no_default_thresholds() -> None:
    pool = PoolRules.model_validate(WRITTEN).by_alert(written_only=True)
    levels = pool["NodeCPUUsageHigh"].levels
    assert (levels["warning"].threshold, levels["critical"].threshold, levels["critical"].enabled) == (70, None, False)
    assert {level.threshold for level in pool["NodeMemoryUsageHigh"].levels.values()} == {None}
    assert pool.keys() == {alert.name for alert in CATALOGUE if alert.per_node}
