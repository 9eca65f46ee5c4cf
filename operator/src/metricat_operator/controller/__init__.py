"""The control loop: what changed becomes keys on a queue, and keys become reconciles."""
