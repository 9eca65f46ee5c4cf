"""Developer tools: external programs, test clusters, images, generators, benchmarks and the demo.

Nothing here is shipped. Neither the operator nor the agent nor the CLI may import it.
"""
