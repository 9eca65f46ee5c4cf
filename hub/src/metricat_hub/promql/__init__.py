"""PromQL: plan, functions, aggregations and vector matching over numpy columns. Pure: no I/O, clock or event loop."""
