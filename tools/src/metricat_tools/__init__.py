"""Developer tools: external programs, test clusters, images, generators, benchmarks and the demo.

Nothing here is shipped. No other package may import it.
"""
