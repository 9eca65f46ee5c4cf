"""The checks of each link from the operator to the samples. `metricat check` and `helm test` run them."""

from metricat_cli.checks.model import Check, State
from metricat_cli.checks.run import run

__all__ = ["Check", "State", "run"]
