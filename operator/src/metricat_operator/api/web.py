"""TLS and authentication of the agents, by names of Secrets. The operator never reads these Secrets.

See docs/design/0008.
"""

from typing import Self

from pydantic import Field, model_validator

from metricat_operator.api.fields import Model, ObjectName, cel, is_given, rule

_CA_WITHOUT_TLS = (
    "clientCASecretName needs tlsSecretName, because client certificates need TLS. Set it, or remove "
    "clientCASecretName."
)
_BOTH_SECRETS = (
    "clientCASecretName and prometheusClientSecretName must be set together: the agents then require a client "
    "certificate, and Prometheus sends one. Set both or neither."
)
_NAME_WITHOUT_TLS = (
    "serverName needs tlsSecretName, because it is the name in the agents' certificate. Set it, or remove serverName."
)


class WebSettings(Model):
    """TLS, client certificates and a password, each by the name of a Secret in the target's namespace."""

    tls_secret_name: ObjectName = Field(
        default="",
        description="Secret with the agents' certificate (tls.crt, tls.key) and the ca.crt with which Prometheus "
        "verifies it, as cert-manager writes them. Default: no TLS.",
    )
    client_ca_secret_name: ObjectName = Field(
        default="",
        alias="clientCASecretName",
        description="Secret with a CA certificate (ca.crt). Only clients with a certificate of this CA get metrics. "
        "Default: all "
        "clients.",
    )
    prometheus_client_secret_name: ObjectName = Field(
        default="",
        description="Secret with Prometheus' client certificate (tls.crt, tls.key), signed by the CA in "
        "clientCASecretName. Default: none.",
    )
    basic_auth_secret_name: ObjectName = Field(
        default="",
        description="Secret with username and password (type kubernetes.io/basic-auth). The agents require them and "
        "Prometheus sends them. Without TLS they are readable on the network. Default: none.",
    )
    server_name: str = Field(
        default="",
        pattern=r"^([A-Za-z0-9]([-A-Za-z0-9.:]*[A-Za-z0-9])?)?$",
        max_length=253,
        description="The name in the agents' certificate. Default: the Service's name, metricat-NAME.NAMESPACE.svc.",
    )

    model_config = Model.model_config | {
        "json_schema_extra": cel(
            rule(f"!{is_given('clientCASecretName')} || {is_given('tlsSecretName')}", _CA_WITHOUT_TLS),
            rule(f"{is_given('clientCASecretName')} == {is_given('prometheusClientSecretName')}", _BOTH_SECRETS),
            rule(f"!{is_given('serverName')} || {is_given('tlsSecretName')}", _NAME_WITHOUT_TLS),
        )
    }

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        """Check the same rules as the CRD; raise ValueError for an invalid combination."""
        if self.client_ca_secret_name and not self.tls_secret_name:
            raise ValueError(_CA_WITHOUT_TLS)
        if bool(self.client_ca_secret_name) != bool(self.prometheus_client_secret_name):
            raise ValueError(_BOTH_SECRETS)
        if self.server_name and not self.tls_secret_name:
            raise ValueError(_NAME_WITHOUT_TLS)
        return self
