"""Who may ask the agents for metrics, and over what: Secrets by name, which the operator itself never reads."""

from typing import Self

from pydantic import Field, model_validator

from metricat_operator.api.fields import Model, ObjectName, cel, is_given, rule

_CA_WITHOUT_TLS = "clientCASecretName needs tlsSecretName: there are no client certificates without TLS"
_ONE_END = (
    "clientCASecretName and prometheusClientSecretName go together: the agents ask for a certificate, and Prometheus "
    "must have one"
)
_NAME_WITHOUT_TLS = "serverName needs tlsSecretName: it is the name in the agents' certificate"


class WebSettings(Model):
    """TLS, client certificates and a password, each by the name of a Secret in the target's namespace."""

    tls_secret_name: ObjectName = Field(
        default="",
        description="The agents' certificate: tls.crt and tls.key, and the ca.crt by which Prometheus knows it, as "
        "cert-manager writes them. Default: no TLS.",
    )
    client_ca_secret_name: ObjectName = Field(
        default="",
        alias="clientCASecretName",
        description="ca.crt: metrics are given only to clients whose certificate it signed. Default: to any client.",
    )
    prometheus_client_secret_name: ObjectName = Field(
        default="",
        description="Prometheus' own certificate, signed by clientCASecretName's: tls.crt and tls.key. Default: none.",
    )
    basic_auth_secret_name: ObjectName = Field(
        default="",
        description="username and password (type kubernetes.io/basic-auth): the agents ask for them, Prometheus gives "
        "them; without TLS the network can read them. Default: none.",
    )
    server_name: str = Field(
        default="",
        pattern=r"^([A-Za-z0-9]([-A-Za-z0-9.:]*[A-Za-z0-9])?)?$",
        max_length=253,
        description="The name in the agents' certificate. Default: their Service's, metricat-NAME.NAMESPACE.svc.",
    )

    model_config = Model.model_config | {
        "json_schema_extra": cel(
            rule(f"!{is_given('clientCASecretName')} || {is_given('tlsSecretName')}", _CA_WITHOUT_TLS),
            rule(f"{is_given('clientCASecretName')} == {is_given('prometheusClientSecretName')}", _ONE_END),
            rule(f"!{is_given('serverName')} || {is_given('tlsSecretName')}", _NAME_WITHOUT_TLS),
        )
    }

    @model_validator(mode="after")
    def _both_ends(self) -> Self:
        """The same as the rules above."""
        if self.client_ca_secret_name and not self.tls_secret_name:
            raise ValueError(_CA_WITHOUT_TLS)
        if bool(self.client_ca_secret_name) != bool(self.prometheus_client_secret_name):
            raise ValueError(_ONE_END)
        if self.server_name and not self.tls_secret_name:
            raise ValueError(_NAME_WITHOUT_TLS)
        return self
