"""Types that all packages of the hub share, and the ports between these packages. Pure: no I/O, clock or event loop."""
