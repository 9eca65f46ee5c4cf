"""The input of every manifest."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from metricat_operator import naming
from metricat_operator.api.pools import Pool, resolve
from metricat_operator.api.selectors import Requirements
from metricat_operator.api.v1alpha1 import Spec
from metricat_operator.facts.model import DefaultLabels, Manifest


@dataclass(frozen=True)
class Context:
    """An accepted target, and the settings of this operator."""

    name: str
    namespace: str
    uid: str
    spec: Spec
    agent_image: str
    agent_image_pull_policy: str = "IfNotPresent"
    agent_image_pull_secrets: tuple[str, ...] = ()
    older: tuple[Requirements, ...] = ()
    """The node selectors of older targets, which own the nodes that they match."""
    default_labels: DefaultLabels = field(default_factory=DefaultLabels)
    """The labels of the objects for which the spec has no labels."""

    @cached_property
    def pools(self) -> tuple[Pool, ...]:
        """The target's pools, the default pool last."""
        return resolve(self.spec, self.older)

    def metadata(self, component: str, name: str = "", labels: Mapping[str, str] | None = None) -> Manifest:
        """Return the metadata of a child object. The target owns it, and Metricat's labels override the given ones."""
        return {
            "name": name or naming.child(self.name),
            "namespace": self.namespace,
            "labels": {**(labels or {}), **naming.labels(self.name, component)},
            "ownerReferences": [
                {
                    "apiVersion": naming.API_VERSION,
                    "kind": naming.KIND,
                    "name": self.name,
                    "uid": self.uid,
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        }
