"""What every manifest is made from."""

from dataclasses import dataclass
from functools import cached_property

from metricat_operator import naming
from metricat_operator.api.pools import Pool, resolve
from metricat_operator.api.selectors import Requirements
from metricat_operator.api.v1alpha1 import Spec
from metricat_operator.facts.model import Manifest


@dataclass(frozen=True)
class Context:
    """A target that was accepted, and how this operator was installed."""

    name: str
    namespace: str
    uid: str
    spec: Spec
    agent_image: str
    agent_image_pull_policy: str = "IfNotPresent"
    agent_image_pull_secrets: tuple[str, ...] = ()
    older: tuple[Requirements, ...] = ()
    """The selectors of older targets, whose nodes are theirs."""

    @cached_property
    def pools(self) -> tuple[Pool, ...]:
        """The target's pools, the default one last."""
        return resolve(self.spec, self.older)

    def metadata(self, component: str, name: str = "", labels: dict[str, str] | None = None) -> Manifest:
        """The metadata of a child: owned by the target, so that it is collected with it. Our labels win."""
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
