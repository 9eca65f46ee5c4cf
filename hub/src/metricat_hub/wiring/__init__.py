"""Assembles the parts of `app` from the settings, with one module for each part."""
