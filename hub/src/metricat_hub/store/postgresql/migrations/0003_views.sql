-- What people query: samples with the name and the labels of their series.
CREATE VIEW metricat.labeled_samples AS
    SELECT series.name, series.labels, samples.time, samples.value
    FROM metricat.samples JOIN metricat.series ON series.number = samples.series;
COMMENT ON VIEW metricat.labeled_samples IS 'Samples with name and labels. Always filter by time, and by name or labels.';
