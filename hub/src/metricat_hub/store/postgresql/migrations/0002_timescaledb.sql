-- Samples in TimescaleDB. The hub sets the policies when it starts, because they follow its settings.
CREATE TABLE metricat.samples (
    series integer NOT NULL,
    time timestamptz NOT NULL,
    value double precision NOT NULL,
    lost double precision
);
COMMENT ON COLUMN metricat.samples.lost IS 'How much a counter lost by a reset since its sample before; null: nothing.';
SELECT create_hypertable(
    'metricat.samples', 'time', chunk_time_interval => interval '6 hours', create_default_indexes => false
);
CREATE UNIQUE INDEX samples_series_time ON metricat.samples (series, time);
ALTER TABLE metricat.samples SET (
    timescaledb.compress, timescaledb.compress_segmentby = 'series', timescaledb.compress_orderby = 'time'
);

-- An interval excludes its start and includes its end, and samples have whole milliseconds: so it begins 1 ms later.
CREATE MATERIALIZED VIEW metricat.buckets_1m WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
    SELECT
        series,
        time_bucket(interval '1 minute', time, "offset" => interval '1 millisecond') AS bucket,
        last(value, time) AS last,
        sum(lost) AS lost,
        min(value) FILTER (WHERE value <> 'NaN') AS min,
        max(value) FILTER (WHERE value <> 'NaN') AS max,
        avg(value) AS avg,
        count(*)::double precision AS count
    FROM metricat.samples
    WHERE float8send(value) <> '\x7ff0000000000002'::bytea
    GROUP BY series, bucket
    WITH NO DATA;

CREATE MATERIALIZED VIEW metricat.buckets_1h WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
    SELECT
        series,
        time_bucket(interval '1 hour', time, "offset" => interval '1 millisecond') AS bucket,
        last(value, time) AS last,
        sum(lost) AS lost,
        min(value) FILTER (WHERE value <> 'NaN') AS min,
        max(value) FILTER (WHERE value <> 'NaN') AS max,
        avg(value) AS avg,
        count(*)::double precision AS count
    FROM metricat.samples
    WHERE float8send(value) <> '\x7ff0000000000002'::bytea
    GROUP BY series, bucket
    WITH NO DATA;

CREATE VIEW metricat.samples_1m AS
    SELECT series, bucket + interval '59.999 seconds' AS time, last, lost, min, max, avg, count
    FROM metricat.buckets_1m;

CREATE VIEW metricat.samples_1h AS
    SELECT series, bucket + interval '1 hour' - interval '1 millisecond' AS time, last, lost, min, max, avg, count
    FROM metricat.buckets_1h;
