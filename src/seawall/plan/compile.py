"""From a spec to its plan: a pure function, ordered by names, so that key order changes no byte."""

from __future__ import annotations

import hashlib
from collections import defaultdict

from seawall.errors import SpecError
from seawall.spec.agents import AgentKeys, BuildAgent, DeclaredAgent, EntryAgent, ImageAgent
from seawall.spec.base import Limits as SpecLimits
from seawall.spec.base import WorkloadKeys
from seawall.spec.model import Spec
from seawall.spec.profiles import profile as model_profile
from seawall.spec.sources import Sources
from seawall.spec.tools import ToolKeys
from seawall.wire.profiles import (
    AgentProfile,
    Budget,
    DayBudget,
    Delegate,
    KeeperPolicy,
    ToolGrant,
)

from .controls import controls, faults
from .links import links, secrets, services
from .meters import meters, micros, task_budget
from .model import Door, Limits, Plan, Recipe, SourceFile, Workload
from .tools import bridge, files, recipe, requirements

UID_FIRST = 20_000
UIDS = 20_000
"""A mesh has more users than workloads: `render/topology.py` counts on from here."""


def compile_plan(spec: Spec, sources: Sources) -> Plan:
    """What the spec means.

    Raises:
        SpecError: it waives a control that does not exist.
    """
    found = faults(spec)
    if found:
        raise SpecError(found)
    workloads = _numbered(
        (_keeper(spec), _broker(), *_agents(spec, sources), *_tools(spec, sources))
    )
    connections = links(spec)
    return Plan(
        name=spec.name,
        main=spec.main,
        workloads=workloads,
        links=connections,
        door=Door(),
        services=services(spec, connections),
        secrets=secrets(spec, connections),
        controls=controls(spec, connections),
        trusted_cas=_files(sources, list(spec.trusted_cas)),
        images=dict(sorted(spec.images.given().items())),
        script=_files(sources, [spec.script])[0] if spec.script else None,
    )


def grants(agent: AgentKeys) -> dict[str, tuple[str, ...]]:
    """Tool to the functions granted to an agent, in the order of the tools' names."""
    found: dict[str, list[str]] = defaultdict(list)
    for grant in agent.tools:
        tool, _, pattern = grant.partition("/")
        found[tool].append(pattern or "*")
    return {t: ("*",) if "*" in found[t] else tuple(sorted(found[t])) for t in sorted(found)}


def _agents(spec: Spec, sources: Sources) -> list[Workload]:
    return [
        Workload(
            identity=f"agent/{name}",
            kind="agent",
            uid=0,
            replicas=agent.replicas,
            image=_agent_image(agent, sources),
            files=_files(sources, _agent_code(agent, sources)),
            writable=("/tmp",),  # noqa: S108 - a sized tmpfs of its own
            limits=_limits(agent.limits),
            allows=_allows(agent),
            profile=_agent_profile(spec, name, agent, sources),
        )
        for name, agent in sorted(spec.agents.items())
    ]


def _agent_profile(
    spec: Spec, name: str, agent: AgentKeys, sources: Sources
) -> AgentProfile | None:
    model = agent.model or spec.defaults.model
    if model is None or not isinstance(agent, DeclaredAgent):
        return None
    return AgentProfile(
        name=name,
        description=agent.description,
        instructions=sources.prompts.get(name, agent.instructions),
        model=model_profile(spec, model),
        tools=tuple(
            ToolGrant(
                tool=tool,
                functions=functions,
                timeout_seconds=spec.tools[tool].timeout,
                retry=spec.tools[tool].retry,
            )
            for tool, functions in grants(agent).items()
        ),
        delegates=tuple(
            Delegate(agent=other, description=spec.agents[other].description)
            for other in agent.delegates
        ),
        turns_max=agent.budget.turns,
        budget=task_budget(agent),
    )


def _agent_image(agent: AgentKeys, sources: Sources) -> Recipe:
    match agent:
        case EntryAgent():
            needed = requirements(agent, sources)
            return Recipe(kind="entry", what=agent.entry, requirements=needed)
        case BuildAgent():
            return Recipe(kind="build", what=agent.build)
        case ImageAgent():
            return Recipe(kind="image", what=agent.image)
    return Recipe(kind="runtime")


def _agent_code(agent: AgentKeys, sources: Sources) -> list[str]:
    if isinstance(agent, BuildAgent):
        return [agent.build]
    if isinstance(agent, EntryAgent):
        top = agent.entry.partition(":")[0].partition(".")[0]
        return [path for path in (top, f"{top}.py") if path in sources.digests]
    return [agent.instructions_file] if agent.instructions_file else []


def _tools(spec: Spec, sources: Sources) -> list[Workload]:
    found = []
    for name, tool in sorted(spec.tools.items()):
        granted = {a: g[name] for a, g in _all_grants(spec).items() if name in g}
        found.append(
            Workload(
                identity=f"tool/{name}",
                kind="tool",
                uid=0,
                replicas=tool.replicas,
                image=recipe(tool, sources),
                files=files(name, tool, sources),
                writable=_tool_writable(tool),
                limits=_limits(tool.limits),
                recycle="each_session" if "sandbox" in type(tool).model_fields else "never",
                allows=_allows(tool),
                profile=bridge(name, tool, granted),
            )
        )
    return found


def _tool_writable(tool: ToolKeys) -> tuple[str, ...]:
    temporary = "/tmp"  # noqa: S108 - a sized tmpfs of its own
    return (temporary, "/data") if "memory" in type(tool).model_fields else (temporary,)


def _all_grants(spec: Spec) -> dict[str, dict[str, tuple[str, ...]]]:
    return {name: grants(agent) for name, agent in sorted(spec.agents.items())}


def _keeper(spec: Spec) -> Workload:
    run, day = spec.budgets.run, spec.budgets.day
    policy = KeeperPolicy(
        mesh=spec.name,
        main=spec.main,
        delegates={name: agent.delegates for name, agent in sorted(spec.agents.items())},
        run=Budget(
            usd_micros=micros(run.usd),
            tokens=run.tokens,
            seconds=run.time,
            depth=run.depth,
            fan_out=run.fan_out,
            turns=run.turns,
            tool_calls=run.tool_calls,
        ),
        meters=meters(spec),
        day=DayBudget(usd_micros=micros(day.usd), tokens=day.tokens),
    )
    image = Recipe(kind="keeper")
    return Workload(
        identity="keeper", kind="keeper", uid=0, image=image, writable=("/data",), profile=policy
    )


def _broker() -> Workload:
    image = Recipe(kind="broker")
    return Workload(identity="broker", kind="broker", uid=0, image=image, writable=("/data",))


def _numbered(workloads: tuple[Workload, ...]) -> tuple[Workload, ...]:
    """Each with a uid from its identity, so that a new neighbour changes nobody's files."""
    taken: set[int] = set()
    found = []
    for workload in workloads:
        seed = hashlib.sha256(workload.identity.encode()).digest()
        uid = UID_FIRST + int.from_bytes(seed[:8], "big") % UIDS
        while uid in taken:
            uid = UID_FIRST + (uid + 1 - UID_FIRST) % UIDS
        taken.add(uid)
        found.append(workload.model_copy(update={"uid": uid}))
    return tuple(found)


def _limits(given: SpecLimits) -> Limits:
    return Limits(
        memory_bytes=given.memory, cpus=given.cpu, pids=given.pids, tmpfs_bytes=given.tmpfs
    )


def _files(sources: Sources, paths: list[str]) -> tuple[SourceFile, ...]:
    return tuple(SourceFile(path=p, digest=sources.digests.get(p, "")) for p in sorted(paths))


def _allows(workload: WorkloadKeys) -> tuple[str, ...]:
    keys = ("allow_unhashed_requirements", "allow_writable_root")
    return tuple(key for key in keys if getattr(workload, key, False))
