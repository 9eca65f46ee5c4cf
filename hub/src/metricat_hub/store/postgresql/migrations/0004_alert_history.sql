-- The history of alerts. Times are milliseconds since 1970-01-01 UTC.
CREATE TABLE metricat.alert_episodes (
    number bigint PRIMARY KEY,
    fingerprint text NOT NULL,
    labels text NOT NULL,
    started bigint NOT NULL,
    annotations text NOT NULL,
    value double precision,
    fired bigint,
    resolved bigint,
    acknowledged bigint,
    acknowledged_by text NOT NULL,
    silenced bigint,
    inhibited bigint,
    delivered bigint NOT NULL,
    failed bigint NOT NULL,
    source text NOT NULL,
    state text NOT NULL,
    name text NOT NULL,
    severity text NOT NULL,
    node text NOT NULL,
    namespace text NOT NULL
);
CREATE INDEX alert_episodes_started ON metricat.alert_episodes (started);
CREATE INDEX alert_episodes_fingerprint ON metricat.alert_episodes (fingerprint, started);
CREATE INDEX alert_episodes_name ON metricat.alert_episodes (name, started);
CREATE INDEX alert_episodes_node ON metricat.alert_episodes (node, started);
CREATE INDEX alert_episodes_state ON metricat.alert_episodes (state, resolved);
COMMENT ON TABLE metricat.alert_episodes IS 'Each period in which an alert was active.';
COMMENT ON COLUMN metricat.alert_episodes.labels IS 'Pairs of name and value, as JSON.';
COMMENT ON COLUMN metricat.alert_episodes.delivered IS 'Notifications that receivers have accepted.';
COMMENT ON COLUMN metricat.alert_episodes.source IS 'alertmanager, or empty for alerts of the rules of the hub.';

CREATE TABLE metricat.alert_events (
    number bigint PRIMARY KEY,
    episode bigint NOT NULL,
    at bigint NOT NULL,
    kind text NOT NULL,
    actor text NOT NULL,
    receiver text NOT NULL,
    value double precision,
    details text NOT NULL,
    digest bytea NOT NULL UNIQUE
);
CREATE INDEX alert_events_episode ON metricat.alert_events (episode, at);
CREATE INDEX alert_events_at ON metricat.alert_events (at);
COMMENT ON TABLE metricat.alert_events IS 'What happened to an alert: pending, firing, acknowledged, notified, resolved.';
COMMENT ON COLUMN metricat.alert_events.digest IS 'Identifies the event, so that it is stored once.';

CREATE TABLE metricat.alert_history_state (
    name text PRIMARY KEY,
    value bigint NOT NULL
);
