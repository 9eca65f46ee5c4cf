"""Types, defaults and validation of the MonitoringTarget. The CRD is generated from this package.

Pure: nothing here may import a client, kopf, asyncio or a clock.
"""
