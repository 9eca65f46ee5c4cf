"""The control loop: each change puts a key on a queue; a worker reconciles the target of each key."""
