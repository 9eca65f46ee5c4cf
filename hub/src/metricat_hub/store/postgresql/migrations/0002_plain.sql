-- Samples in plain PostgreSQL. New ones are rows. Complete windows become arrays, which need a tenth of the space.
CREATE TABLE metricat.recent (
    series integer NOT NULL,
    time timestamptz NOT NULL,
    value double precision NOT NULL,
    PRIMARY KEY (series, time)
) PARTITION BY RANGE (time);
COMMENT ON TABLE metricat.recent IS 'Samples as received, a partition for two hours. Maintenance packs complete ones.';

CREATE TABLE metricat.packed_raw (
    series integer NOT NULL,
    start timestamptz NOT NULL,
    offsets integer[] NOT NULL,
    values double precision[] NOT NULL,
    PRIMARY KEY (series, start)
) PARTITION BY RANGE (start);
COMMENT ON TABLE metricat.packed_raw IS 'Samples of one series and two hours: milliseconds after the start, and values.';

CREATE TABLE metricat.packed_1m (
    series integer NOT NULL,
    start timestamptz NOT NULL,
    offsets integer[] NOT NULL,
    last double precision[] NOT NULL,
    lost double precision[],
    min double precision[],
    max double precision[],
    avg double precision[],
    count double precision[],
    PRIMARY KEY (series, start)
) PARTITION BY RANGE (start);
COMMENT ON TABLE metricat.packed_1m IS 'One point a minute, at its end. A counter has no min, max, avg and count.';
COMMENT ON COLUMN metricat.packed_1m.lost IS 'How much a counter lost by resets since the point before.';

CREATE TABLE metricat.packed_1h (LIKE metricat.packed_1m INCLUDING ALL) PARTITION BY RANGE (start);
COMMENT ON TABLE metricat.packed_1h IS 'One point an hour, at its end. Each row has a day.';

CREATE VIEW metricat.samples AS
    SELECT series, time, value FROM metricat.recent
    UNION ALL
    SELECT series, start + unpacked.at * interval '1 millisecond', unpacked.value
    FROM metricat.packed_raw, unnest(offsets, values) AS unpacked (at, value);

CREATE VIEW metricat.samples_1m AS
    SELECT series, start + p.at * interval '1 millisecond' AS time, p.last, p.lost, p.min, p.max, p.avg, p.count
    FROM metricat.packed_1m,
        unnest(offsets, last, lost, min, max, avg, count) AS p (at, last, lost, min, max, avg, count);

CREATE VIEW metricat.samples_1h AS
    SELECT series, start + p.at * interval '1 millisecond' AS time, p.last, p.lost, p.min, p.max, p.avg, p.count
    FROM metricat.packed_1h,
        unnest(offsets, last, lost, min, max, avg, count) AS p (at, last, lost, min, max, avg, count);
