"""Mutation tests: changes the code in small ways, and counts the changes that the unit tests detect."""
