-- Series, metadata of metrics, and the state of the hub.
CREATE TABLE metricat.series (
    number integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    labels jsonb NOT NULL,
    encoded bytea NOT NULL,
    digest uuid NOT NULL UNIQUE,
    first timestamptz,
    last timestamptz,
    idle boolean NOT NULL DEFAULT false
);
CREATE INDEX series_name ON metricat.series USING hash (name);
CREATE INDEX series_labels ON metricat.series USING gin (labels jsonb_path_ops);
COMMENT ON TABLE metricat.series IS 'Every series: its number in the tables of samples, and its labels.';
COMMENT ON COLUMN metricat.series.labels IS 'Labels with the metric name; NUL, which jsonb cannot have, is U+FFFD.';
COMMENT ON COLUMN metricat.series.encoded IS 'The exact labels, as JSON.';
COMMENT ON COLUMN metricat.series.digest IS 'BLAKE2b of the exact labels.';
COMMENT ON COLUMN metricat.series.first IS 'First sample that maintenance has seen.';
COMMENT ON COLUMN metricat.series.last IS 'Last sample that maintenance has seen.';
COMMENT ON COLUMN metricat.series.idle IS 'No sample for a day: the hub does not hold the series in memory.';

CREATE TABLE metricat.metadata (
    metric bytea PRIMARY KEY,
    type text NOT NULL,
    help bytea NOT NULL,
    unit bytea NOT NULL
);
COMMENT ON TABLE metricat.metadata IS 'Type, help and unit of each metric. Texts are UTF-8, because they may contain NUL.';

CREATE TABLE metricat.state (
    name text PRIMARY KEY,
    value jsonb NOT NULL
);
