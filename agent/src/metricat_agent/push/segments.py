"""A queue of batches in files. It survives the end of the process at any moment.

Each file, a segment, has a header of 16 bytes: a mark, and the position of the first batch that is not sent yet. The
position is overwritten in place, so that this works on a full disk. Then batches follow, each with a header of its own
and two checksums. After a damaged header, the rest of the segment is lost. Of a damaged batch, only the batch is lost.
The queue never appends to a segment of an earlier process, whose end may be incomplete.
"""

from __future__ import annotations

import os
import struct
import zlib
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from metricat_agent.host.ascii_text import is_digits

_MARK = b"MCPUSH1\n"
_FILE_HEAD = len(_MARK) + 8
_HEAD = struct.Struct("<IIqI")
"""Bytes and number of samples of a batch, its time, the checksum of its bytes. The header's own checksum follows."""
_HEAD_SIZE = _HEAD.size + 4
_SUFFIX = ".segment"


class Record(NamedTuple):
    """A compressed batch of samples in the queue."""

    data: bytes
    samples: int
    time: int
    """Milliseconds since 1970-01-01 UTC."""
    number: int
    """Position in the queue; later records have higher numbers."""


class SegmentsError(Exception):
    """The directory cannot be used. The message has the cause and the remedy."""


class _Entry(NamedTuple):
    at: int
    size: int
    samples: int
    time: int
    crc: int


@dataclass(slots=True)
class Segment:
    """One file of the queue. `records` and `samples` count only what is not sent yet."""

    path: str
    size: int
    first: int
    """Number of its first record."""
    records: int
    samples: int
    newest: int
    sent: int = _FILE_HEAD
    """Position of the first record that is not sent."""


class Segments:
    """A queue of batches in files. Not thread-safe. Methods raise OSError if the disk fails."""

    def __init__(self, folder: str, segment_bytes: int, *, flushes: bool = True) -> None:
        """Open or create the directory; raise `SegmentsError` if that fails."""
        self._folder = folder
        self._flushes = flushes
        self._segment_bytes = segment_bytes
        self._segments: list[Segment] = []
        self._writing: int | None = None
        self._next_file = 1
        self.next_number = 1
        self.damaged_samples = 0
        """Number of samples in damaged batches whose header was intact."""
        self.damaged_bytes = 0
        try:
            os.makedirs(folder, 0o700, exist_ok=True)  # noqa: PTH103 -- pathlib costs memory
            self._lock = _locked(os.path.join(folder, "lock"))  # noqa: PTH118
            self._load()
        except OSError as error:
            raise SegmentsError(
                f"{folder}: {error.strerror}; give a writable directory that no other program uses"
            ) from None

    @property
    def bytes(self) -> int:
        """Size of all files, in bytes."""
        return sum([segment.size for segment in self._segments])

    @property
    def samples(self) -> int:
        """Number of samples that are not sent yet."""
        return sum([segment.samples for segment in self._segments])

    def __bool__(self) -> bool:
        """Return whether the queue has records."""
        return any(segment.records for segment in self._segments)

    def append(self, record: Record) -> None:
        """Append a record. If the disk fails, raise OSError and leave the queue as it was.

        The record's number must be higher than all numbers in the queue. The numbers within a segment have no gap.
        """
        file = self._writing
        if file is None or self._segments[-1].size >= self._segment_bytes or record.number != self.next_number:
            file = self._begin_segment(record.number)
        segment = self._segments[-1]
        head = _HEAD.pack(len(record.data), record.samples, record.time, zlib.crc32(record.data))
        written = head + zlib.crc32(head).to_bytes(4, "little") + record.data
        try:
            _write(file, written)
            if self._flushes:
                _sync(file)
        except OSError:
            with suppress(OSError):
                os.ftruncate(file, segment.size)
            self._end_segment()
            raise
        segment.size += len(written)
        segment.records += 1
        segment.samples += record.samples
        segment.newest = max(segment.newest, record.time)
        self.next_number = record.number + 1

    def oldest(self, most_samples: int, most_bytes: int) -> list[Record]:
        """Return the oldest records of one segment: at least one, and further ones within the bounds; none if empty."""
        while self:
            segment = next(segment for segment in self._segments if segment.records)
            try:
                found = self._read(segment, most_samples, most_bytes)
            except OSError:
                self._lose(segment)
                continue
            if found:
                return found
        return []

    def remove_through(self, number: int) -> None:
        """Remove the records up to and including ``number``."""
        for segment in list(self._segments):
            if segment.first > number:
                return
            count = number - segment.first + 1
            if count < segment.records:
                try:
                    self._advance(segment, _entries(segment)[:count])
                except (OSError, IndexError):
                    self._lose(segment)
                return
            self._remove(segment)

    def oldest_segment(self) -> Segment | None:
        """Return the segment with the oldest records; None if the queue is empty."""
        return next((segment for segment in self._segments if segment.records), None)

    def _lose(self, segment: Segment) -> None:
        """Remove a segment whose file is gone or unreadable."""
        self.damaged_samples += segment.samples
        self.damaged_bytes += segment.size
        self._remove(segment)

    def drop(self, segment: Segment) -> None:
        """Remove a segment with its records."""
        self._remove(segment)

    def close(self) -> None:
        """Close the files. The records remain."""
        self._end_segment()
        os.close(self._lock)

    def _load(self) -> None:
        for name in sorted(os.listdir(self._folder)):  # noqa: PTH208 -- as above
            if not name.endswith(_SUFFIX):
                continue
            path = os.path.join(self._folder, name)  # noqa: PTH118
            stem = name.removesuffix(_SUFFIX)
            if is_digits(stem):
                self._next_file = max(self._next_file, int(stem) + 1)
            segment = self._loaded(path)
            if segment.records:
                self._segments.append(segment)
                self.next_number += segment.records
            else:
                os.unlink(path)  # noqa: PTH108

    def _loaded(self, path: str) -> Segment:
        """Return a segment of an earlier process, up to its first damaged header."""
        segment = Segment(path, os.stat(path).st_size, self.next_number, 0, 0, 0)  # noqa: PTH116
        with open(path, "rb") as file:  # noqa: PTH123
            head = file.read(_FILE_HEAD)
        if head[: len(_MARK)] != _MARK or len(head) < _FILE_HEAD:
            self.damaged_bytes += segment.size
            return segment
        entries = _entries(segment)
        sent = int.from_bytes(head[len(_MARK) :], "little")
        end = entries[-1].at + entries[-1].size if entries else _FILE_HEAD
        self.damaged_bytes += segment.size - end
        # with an invalid position, all records are sent again
        if sent == end or sent in {entry.at - _HEAD_SIZE for entry in entries}:
            segment.sent = sent
        entries = [entry for entry in entries if entry.at > segment.sent]
        segment.records = len(entries)
        segment.samples = sum([entry.samples for entry in entries])
        segment.newest = max([entry.time for entry in entries], default=0)
        return segment

    def _read(self, segment: Segment, most_samples: int, most_bytes: int) -> list[Record]:
        """Return records of a segment; remove damaged ones at its beginning."""
        found: list[Record] = []
        damaged: list[_Entry] = []
        samples = size = 0
        with open(segment.path, "rb") as file:  # noqa: PTH123
            for number, entry in enumerate(_entries(segment), segment.first):
                if found and (samples + entry.samples > most_samples or size + entry.size > most_bytes):
                    break
                file.seek(entry.at)
                data = file.read(entry.size)
                if zlib.crc32(data) == entry.crc:
                    found.append(Record(data, entry.samples, entry.time, number))
                    samples, size = samples + entry.samples, size + entry.size
                elif found:
                    break  # the next call finds it at the beginning
                else:
                    damaged.append(entry)
        if damaged:
            self.damaged_samples += sum([entry.samples for entry in damaged])
            self.damaged_bytes += sum([entry.size for entry in damaged])
            self._advance(segment, damaged)
        if not found:
            self._remove(segment)
        return found

    def _advance(self, segment: Segment, entries: list[_Entry]) -> None:
        """Mark the first records of a segment as sent."""
        segment.sent = entries[-1].at + entries[-1].size
        segment.first += len(entries)
        segment.records -= len(entries)
        segment.samples -= sum([entry.samples for entry in entries])
        with suppress(OSError):  # after a crash, these records would be sent twice
            file = os.open(segment.path, os.O_WRONLY | getattr(os, "O_BINARY", 0))
            try:
                os.lseek(file, len(_MARK), os.SEEK_SET)
                os.write(file, segment.sent.to_bytes(8, "little"))
            finally:
                os.close(file)

    def _begin_segment(self, number: int) -> int:
        self._end_segment()
        path = os.path.join(self._folder, f"{self._next_file:012}{_SUFFIX}")  # noqa: PTH118
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_BINARY", 0)
        file = os.open(path, flags, 0o600)
        self._next_file += 1
        try:
            _write(file, _MARK + _FILE_HEAD.to_bytes(8, "little"))
        except OSError:
            os.close(file)
            with suppress(OSError):
                os.unlink(path)  # noqa: PTH108
            raise
        self._writing = file
        self._segments.append(Segment(path, _FILE_HEAD, number, 0, 0, 0))
        return file

    def _end_segment(self) -> None:
        if self._writing is not None:
            os.close(self._writing)
            self._writing = None
            if not self._segments[-1].records:
                self._remove(self._segments[-1])

    def _remove(self, segment: Segment) -> None:
        if self._writing is not None and segment is self._segments[-1]:
            os.close(self._writing)
            self._writing = None
        self._segments.remove(segment)
        with suppress(OSError):
            os.unlink(segment.path)  # noqa: PTH108


def _entries(segment: Segment) -> list[_Entry]:
    """Return where the records are that are not sent, up to the first damaged header."""
    found: list[_Entry] = []
    at, end = segment.sent, segment.size
    with open(segment.path, "rb") as file:  # noqa: PTH123
        while at + _HEAD_SIZE <= end:
            file.seek(at)
            head = file.read(_HEAD_SIZE)
            if len(head) < _HEAD_SIZE or zlib.crc32(head[: _HEAD.size]) != int.from_bytes(head[_HEAD.size :], "little"):
                break
            size, samples, time, crc = _HEAD.unpack_from(head)
            at += _HEAD_SIZE
            if at + size > end:
                break
            found.append(_Entry(at, size, samples, time, crc))
            at += size
    return found


def _write(file: int, data: bytes) -> None:
    """Write all bytes; a nearly full disk takes a part first."""
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _sync(file: int) -> None:
    getattr(os, "fdatasync", os.fsync)(file)


def _locked(path: str) -> int:
    """Return a file that this process has locked; raise OSError if another one holds the lock. Windows has no lock."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        import fcntl  # noqa: PLC0415 -- Windows does not have it
    except ImportError:
        return file
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        raise
    return file
