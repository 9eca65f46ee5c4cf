"""The alert catalogue as data, and the rules that are made from it.

Pure: nothing here may import a client, kopf, asyncio, a clock, or the API types that are made from the catalogue.
"""
