"""The alert catalogue as data, and the rules generated from it.

Pure: nothing here may import a client, kopf, asyncio, a clock, or the API types generated from the catalogue.
"""
