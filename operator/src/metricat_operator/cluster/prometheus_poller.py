"""Asking each Prometheus about each target that it serves, again and again, beside the reconciles.

A reconcile says what is to be asked and takes the answers that there are; a Prometheus that is slow or dead holds up
nothing but the answers about itself.
"""

import asyncio
import random
import re
from collections.abc import Callable
from dataclasses import replace

import aiohttp
import structlog

from metricat_operator.cluster.prometheus_client import AskError, ask
from metricat_operator.facts.prometheus_query import Answer, Question, Rule

log = structlog.get_logger(__name__)

Key = tuple[str, str]
"""Namespace and name of a target."""

_PERIOD_SECONDS = 20.0
_AGAIN_SECONDS = 5.0
_LOOKS = 2
"""How many looks in a row must differ from what is told: a restart, or a rule before its first evaluation, passes."""


class Asker:
    """Holds the newest answers about each target.

    Its owner sets `due`, which puts a target on the queue whose worker is `work`; `changed` is called when a target's
    answers are others than before.
    """

    def __init__(self, connections: aiohttp.ClientSession, changed: Callable[[Key], None]) -> None:
        self.due: Callable[[Key], None]
        self._connections = connections
        self._changed = changed
        self._wanted: dict[Key, tuple[Question, ...]] = {}
        self._told: dict[Key, tuple[Answer, ...]] = {}
        self._doubts: dict[Key, int] = {}

    def want(self, key: Key, questions: tuple[Question, ...]) -> tuple[Answer, ...]:
        """Have these questions asked from now on; returns the answers so far, to the earlier ones perhaps."""
        if self._wanted.get(key, ()) != questions:
            self._wanted[key] = questions
            self.due(key)
        return self._told.get(key, ())

    def forget(self, key: Key) -> None:
        """The target is gone."""
        for known in (self._wanted, self._told, self._doubts):
            known.pop(key, None)

    async def work(self, key: Key) -> float | None:
        """Ask everything about one target; returns in how many seconds to ask again, None where nothing is asked."""
        questions = self._wanted.get(key, ())
        before = {answer.taker: answer for answer in self._told.get(key, ())}
        with structlog.contextvars.bound_contextvars(target="/".join(key)):
            found = await asyncio.gather(*(_answered(self._connections, question) for question in questions))
        if self._wanted.get(key, ()) != questions:
            return _AGAIN_SECONDS if key in self._wanted else None  # it is on the queue already
        answers = tuple(_steady(answer, before.get(answer.taker)) for answer in found)
        if answers == self._told.get(key, ()):
            self._doubts.pop(key, None)
        else:
            self._doubts[key] = self._doubts.get(key, 0) + 1
            if before.keys() == {answer.taker for answer in answers} and self._doubts[key] < _LOOKS:
                return _AGAIN_SECONDS
            self._doubts.pop(key, None)
            self._told[key] = answers
            self._changed(key)
        if all(question.hindrance for question in questions):
            return None
        return _PERIOD_SECONDS * random.uniform(0.8, 1.2)  # noqa: S311 (jitter, not a secret)


async def _answered(connections: aiohttp.ClientSession, question: Question) -> Answer:
    """The answer of all shards, which know a part of the nodes each, and all of the rules."""
    if question.hindrance:
        return Answer(question.taker, question.hindrance)
    parts = await asyncio.gather(*(_shard(connections, question, number) for number in range(len(question.shards))))
    nodes: dict[str, bool] = {}
    errors: dict[str, str] = {}
    for part in parts:
        nodes |= {node: up or nodes.get(node, False) for node, up in part.nodes.items()}
        errors |= part.errors
    troubles = [part.trouble for part in parts if part.trouble]
    return Answer(
        question.taker,
        troubles[0] if troubles else None,
        nodes,
        {node: error for node, error in errors.items() if not nodes[node]},
        min((part.rules for part in parts if not part.trouble), key=_worth, default=()),
        configured=any(part.configured for part in parts),
        reloaded=all(part.reloaded for part in parts),
    )


def _worth(rules: tuple[Rule, ...]) -> tuple[int, int]:
    """The shard that has the fewest of the rules, or most of them failing, is the one to tell of."""
    return len(rules), -sum(rule.health == "err" for rule in rules)


async def _shard(connections: aiohttp.ClientSession, question: Question, number: int) -> Answer:
    """The answer of the first of the shard's pods that gives one."""
    trouble = None
    for server in question.shards[number]:
        if not server.address:
            trouble = trouble or ("NotReady", f"its pod {server.name} {server.reason}")
            continue
        try:
            return await ask(connections, question, server)
        except AskError as error:
            log.debug("a Prometheus does not answer", pod=server.name, reason=error.reason, error=str(error))
            advice = f"; {question.after_timeout}" if error.reason == "Timeout" else ""
            trouble = (error.reason, f"{error}{advice}")
    return Answer(question.taker, trouble or ("NotReady", "it has no pod"))


def _steady(answer: Answer, before: Answer | None) -> Answer:
    """The answer in the earlier one's words where both mean the same.

    The words of an error name a connection, or one of many pairs of series; each other pair would be a write.
    """
    if before is None:
        return answer
    errors = {node: _same(error, before.errors.get(node, "")) for node, error in answer.errors.items()}
    known = {(rule.group, rule.name): rule.error for rule in before.rules if rule.error}
    rules = tuple(
        replace(rule, error=_same(rule.error, known.get((rule.group, rule.name), ""))) if rule.error else rule
        for rule in answer.rules
    )
    trouble = answer.trouble
    if trouble and before.trouble and trouble[0] == before.trouble[0]:
        trouble = (trouble[0], _same(trouble[1], before.trouble[1]))
    return replace(answer, trouble=trouble, errors=errors, rules=rules)


def _same(text: str, before: str) -> str:
    return before if _gist(text) == _gist(before) else text


def _gist(text: str) -> str:
    return re.sub(r"\d+|\{[^}]*\}?", "", text)
