"""Functions that assemble the parts of `app` from the settings: one module for each part."""
