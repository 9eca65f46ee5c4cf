-- Statistics read this index instead of the episodes, which have long texts. It has the order of alerts and hours.
CREATE INDEX alert_episodes_statistics ON metricat.alert_episodes (fingerprint, (fired / 3600000))
INCLUDE (started, resolved, fired, acknowledged, state, name, severity, node, namespace, delivered, failed)
WHERE fired IS NOT NULL;
