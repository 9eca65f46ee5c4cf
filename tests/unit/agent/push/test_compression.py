"""Compression of pushed bodies."""

from __future__ import annotations

import pytest

from metricat_agent.push.compression import compressor, literals
from metricat_hub.sources.write.decompression import decompressed


@pytest.mark.parametrize("size", [0, 1, 59, 60, 61, 65535, 65536, 65537, 200_000])
def test_uncompressed_blocks_are_valid_snappy(size: int) -> None:
    data = bytes(number % 251 for number in range(size))
    assert decompressed(literals(data), 1 << 20) == data


@pytest.mark.parametrize("encoding", ["snappy", "gzip"])
def test_compressed_bodies_are_smaller_and_equal_after_decompression(encoding: str) -> None:
    data = b"node_cpu_seconds_total" * 1000
    body = compressor(encoding)(data)
    assert len(body) < len(data) / 5
    assert decompressed(body, 1 << 20, encoding) == data
