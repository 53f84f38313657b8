"""Adds a key to a request on the side of the gateway that its caller does not see."""

from __future__ import annotations

from typing import Any

from seawall.plan.model import Credential
from seawall.wire import places

from . import envoy, yaml_text
from .yaml_text import Flow


def key_file(secret: str) -> str:
    """A secret as Envoy's discovery names it: where its value is, never what it is."""
    value = {
        "filename": f"{places.SECRETS}/{secret}",
        # A directory is watched, and a new value moved into it takes effect at once.
        "watched_directory": {"path": places.SECRETS},
    }
    kind = f"{envoy.TYPES}.extensions.transport_sockets.tls.v3.Secret"
    resource = {"@type": kind, "name": secret, "generic_secret": {"secret": value}}
    return yaml_text.dump({"resources": [resource]}, f"Where Envoy finds the secret {secret}.")


def injector(credential: Credential) -> dict[str, Any]:
    """Adds the key on the provider's side of the gateway, over whatever is there."""
    if credential.query is not None:
        return _query(credential)
    kind = "extensions.http.injected_credentials.generic.v3.Generic"
    generic: dict[str, Any] = {
        "credential": _source(credential),
        "header": credential.header,
    }
    if credential.prefix:
        generic["header_value_prefix"] = credential.prefix
    return envoy.typed(
        "envoy.filters.http.credential_injector",
        "extensions.filters.http.credential_injector.v3.CredentialInjector",
        overwrite=True,
        credential=envoy.typed("envoy.http.injected_credentials.generic", kind, **generic),
    )


def _query(credential: Credential) -> dict[str, Any]:
    """A key in the query, in place of what the caller put there."""
    # Not the secret's own name: its letters would be a formatter's words.
    value = {"key": credential.query, "value": "%SECRET(key)%"}
    change = {"append": {"record": value, "action": "OVERWRITE_IF_EXISTS_OR_ADD"}}
    formatter = envoy.typed(
        "envoy.formatter.generic_secret",
        "extensions.formatter.generic_secret.v3.GenericSecret",
        secret_configs={"key": _source(credential)},
    )
    return envoy.typed(
        "envoy.filters.http.header_mutation",
        "extensions.filters.http.header_mutation.v3.HeaderMutation",
        mutations={"query_parameter_mutations": [Flow(change)], "formatters": [formatter]},
    )


def _source(credential: Credential) -> dict[str, Any]:
    """Where Envoy finds the value, and again when it changes."""
    path = {"path": f"/etc/envoy/{credential.secret}.yaml"}
    config = {"path_config_source": Flow(path), "resource_api_version": "V3"}
    return {"name": credential.secret, "sds_config": config}
