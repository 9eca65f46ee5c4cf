"""The API of the alert history: episodes, the timeline of an alert, statistics, and Alertmanager's webhook."""
