"""Evaluation of rules: rule files, recording and alerting rules, and the templates of alerts. Pure.

See docs/design/0039-rules-in-the-hub.md.
"""
