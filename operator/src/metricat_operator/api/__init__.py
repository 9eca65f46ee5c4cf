"""The MonitoringTarget: its types, defaults and validation; the CRD is generated from here.

Pure: nothing here may import a client, kopf, asyncio or a clock.
"""
