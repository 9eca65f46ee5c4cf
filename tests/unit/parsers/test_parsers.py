"""Each parser of foreign data raises only the errors that it declares, in bounded time and memory."""

import resource
import time
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.parsers import PARSERS

SECONDS = 5
"""Of CPU time for one input of 16 KiB. Quadratic work would take minutes."""
SIZE = 16 << 10
MOST_MEMORY = 256 << 20


@pytest.mark.parametrize("name", sorted(PARSERS))
def test_valid_input_is_accepted_by_some_parser(name: str) -> None:
    """A seed that raises at once would test nothing: at least one must be valid."""
    parser = PARSERS[name]
    accepted = 0
    for seed in parser.seeds:
        with suppress(*parser.errors):
            parser.parse(seed)
            accepted += 1
    assert accepted


@pytest.mark.parametrize("name", sorted(PARSERS))
@given(data=st.data())
@settings(max_examples=20, suppress_health_check=list(HealthCheck))
def test_changed_input_is_parsed_or_rejected(name: str, data: st.DataObject) -> None:
    parser = PARSERS[name]
    changed = data.draw(st.sampled_from(parser.seeds))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(changed)))
        gone = data.draw(st.integers(0, 12))
        new = data.draw(st.binary(max_size=8) | st.sampled_from(parser.words or (b"",)))
        changed = changed[:at] + new + changed[at + gone :]
    with suppress(*parser.errors):
        parser.parse(changed)


@pytest.mark.parametrize("name", sorted(PARSERS))
def test_extreme_input_takes_bounded_time_and_memory(name: str) -> None:
    parser = PARSERS[name]
    for word in parser.words:
        many = word * (SIZE // len(word))
        for seed in (b"", parser.seeds[0]):
            for content in {seed + many, seed[: len(seed) // 2] + many + seed[len(seed) // 2 :]}:
                before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
                with suppress(*parser.errors):
                    parser.parse(content)
                took = time.process_time() - started
                assert took < SECONDS, f"{took:.1f} s of CPU time for many {word!r} in {seed[:40]!r}"
                grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
                assert grown < MOST_MEMORY, f"{grown >> 20} MiB for many {word!r} in {seed[:40]!r}"


@pytest.mark.parametrize("name", ["yaml-text", "hub-rules-file", "hub-scrape-file", "agent-settings-file"])
def test_aliases_that_multiply_are_rejected(name: str) -> None:
    lines = [b"a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [b"a%d: &a%d [%s]" % (i, i, b", ".join([b"*a%d" % (i - 1)] * 10)) for i in range(1, 12)]
    parser = PARSERS[name]
    with pytest.raises(parser.errors, match="aliases"):
        parser.parse(b"\n".join(lines))
