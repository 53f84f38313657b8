"""Budgets of a run: what the mesh allows, lowered by what the run asks for."""

from __future__ import annotations

from seawall.errors import Refused
from seawall.wire.profiles import Budget


def lowered(mesh: Budget, wanted: Budget | None) -> Budget:
    """The mesh's budget with what the run asks for; raises Refused when it asks for more."""
    if wanted is None:
        return mesh
    asked = {name: getattr(wanted, name) for name in wanted.model_fields_set}
    for name, value in asked.items():
        most = getattr(mesh, name)
        if value is not None and value < 0:
            raise Refused("bad_request", f"{name}: must not be negative, got {value}")
        if most is not None and (value is None or value > most):
            raise Refused(
                "budget",
                f"{name}: the mesh allows a run {most}, and {value or 'no limit'} was asked for",
                f"Ask for less, or raise budgets/run/{name.removesuffix('_micros')}",
            )
    return mesh.model_copy(update=asked)
