"""The operator's own metrics, as families. Nothing here serves them."""
