"""The alert catalogue as data, and the PromQL it becomes.

Pure: nothing here may import a client, kopf, asyncio or a clock, nor the API types that are made from it.
"""
