"""PromQL: the parser, and the evaluation over numpy columns. Pure: no I/O, clock or event loop."""
