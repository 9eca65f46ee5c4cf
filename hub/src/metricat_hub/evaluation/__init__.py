"""Evaluation of rules: rule files, recording and alerting rules, and the templates of alerts. Pure."""
