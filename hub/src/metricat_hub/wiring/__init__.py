"""How `app` assembles parts from settings: one module for each part."""
