"""Endpoints of alert rules: reading, changing with versions, dry run and backtest. See docs/design/0043."""
