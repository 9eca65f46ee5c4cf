"""Writers of the files that are made from code: the CRD, its copy in the chart, the golden manifests, the runbooks."""
