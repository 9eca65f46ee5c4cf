"""Types that all rooms share, and the ports between them. Pure: no I/O, clock or event loop."""
