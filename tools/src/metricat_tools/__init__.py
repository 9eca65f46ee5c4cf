"""The project's own workshop: programs, test clusters, images, generators and the demo.

Nothing here is shipped, and neither the operator nor the agent may import it.
"""
