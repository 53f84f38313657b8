"""What the values of a spec say about one another: names that must exist, files, grants.

Models, prices and secrets are in `money.py`. Each check notes faults and goes on.
"""

from __future__ import annotations

import re
from pathlib import Path as File
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from . import money
from .agents import AgentKeys, BuildAgent, EntryAgent
from .base import Egress, RequirementKeys
from .faults import Faults, Path, Place, nearest
from .marked import marked_functions
from .model import Spec
from .pylock import as_requirements
from .reading import read_text
from .requirements import read_pins
from .tools import MEMORY_FUNCTIONS, FunctionsSpec, MemorySpec, SandboxSpec, ToolKeys, UrlSpec
from .units import is_loopback

SANDBOX_FUNCTIONS = {"python": ("run_python",), "shell": ("run_shell",)}


class Known(NamedTuple):
    """The names that the file defines, faulty ones included: a fault is told once."""

    agents: frozenset[str]
    tools: frozenset[str]
    services: frozenset[str]

    @classmethod
    def of(cls, data: Any) -> Known:
        """The names in the file's plain values."""
        sections = (data.get(key) for key in ("agents", "tools", "services"))
        return cls(*(frozenset(s) if isinstance(s, dict) else frozenset() for s in sections))


class Checker(NamedTuple):
    """A spec under check, and where its faults go."""

    spec: Spec
    known: Known
    faults: Faults

    def add(self, path: Path, fault: str, remedy: str = "") -> None:
        """Note a fault at the line of `path`."""
        self.faults.add(self.spec.home.place(path), path, fault, remedy)

    def file(self, path: Path, name: str, *, folder: bool = False) -> File | None:
        """The file that `path` names; None with the fault noted when it is not there."""
        try:
            found = self.spec.home.folder / name
            there = found.is_dir() if folder else found.is_file()
        except (OSError, ValueError):
            there = False
        if there:
            return found
        kind = "folder" if folder else "file"
        self.add(path, f"there is no {kind} {name!r}", "Paths are relative to the spec's folder")
        return None

    def inside(self, path: Path, name: str) -> bool:
        """Whether `name` stays below the spec's folder, as what goes into an image must."""
        pure = PurePosixPath(name)
        if not pure.is_absolute() and ".." not in pure.parts and pure.parts:
            return True
        remedy = "Move it there: images are made from that folder alone"
        self.add(path, "is not below the spec's folder", remedy)
        return False


def check(spec: Spec, known: Known, faults: Faults) -> None:
    """Note every fault in how the parts of the spec fit together."""
    checker = Checker(spec, known, faults)
    if spec.main not in known.agents:
        checker.add(("main",), f"there is no agent {spec.main!r}", nearest(spec.main, known.agents))
    if spec.script is not None:
        checker.file(("script",), spec.script)
    if not is_loopback(spec.door.address):
        fault = "is not this machine's alone, and the door speaks HTTP without TLS"
        checker.add(("door", "address"), fault, "Use 127.0.0.1, with a TLS proxy before it")
    if spec.build.ca_bundle is not None:
        checker.file(("build", "ca_bundle"), spec.build.ca_bundle)
    for index, name in enumerate(spec.trusted_cas):
        _certificates(checker, ("trusted_cas", index), name)
    _repeated(checker, ("trusted_cas",), spec.trusted_cas)
    functions = {name: _tool(checker, name, tool) for name, tool in spec.tools.items()}
    for name, agent in spec.agents.items():
        _agent(checker, name, agent, functions)
    money.check_models(checker)
    money.check_secrets(checker)


def _certificates(checker: Checker, path: Path, name: str) -> None:
    """A file of CA certificates, and nothing that must not go into an image."""
    file = checker.file(path, name)
    text = read_text(file, Place(str(file)), checker.faults) if file else None
    if text is None:
        return
    if "PRIVATE KEY-----" in text:
        checker.add(path, f"{name!r} holds a private key", "Name a file with certificates alone")
    elif "-----BEGIN CERTIFICATE-----" not in text:
        checker.add(path, f"{name!r} holds no certificate", "Name a PEM file")


def _agent(
    checker: Checker, name: str, agent: AgentKeys, functions: dict[str, tuple[str, ...] | None]
) -> None:
    here: Path = ("agents", name)
    if agent.instructions_file is not None:
        checker.file((*here, "instructions"), agent.instructions_file)
    if isinstance(agent, BuildAgent):
        checker.file((*here, "build"), agent.build, folder=True)
    if isinstance(agent, EntryAgent):
        _requirements(checker, here, agent)
    _repeated(checker, (*here, "delegates"), agent.delegates)
    _repeated(checker, (*here, "tools"), agent.tools)
    for index, other in enumerate(agent.delegates):
        if other == name:
            checker.add((*here, "delegates", index), "delegates to itself", "Remove it")
        elif other not in checker.known.agents:
            remedy = nearest(other, checker.known.agents - {name}, "agents")
            checker.add((*here, "delegates", index), f"there is no agent {other!r}", remedy)
    for index, grant in enumerate(agent.tools):
        _grant(checker, (*here, "tools", index), grant, functions)
    _shared(checker, here, agent)


def _grant(
    checker: Checker, path: Path, grant: str, functions: dict[str, tuple[str, ...] | None]
) -> None:
    tool, slash, pattern = grant.partition("/")
    if tool not in checker.known.tools:
        checker.add(path, f"there is no tool {tool!r}", nearest(tool, checker.known.tools, "tools"))
        return
    if slash and not re.fullmatch(r"[A-Za-z0-9_.*-]{1,128}", pattern):
        checker.add(path, f"{pattern!r} is no function", "Write tool/function or tool/pattern_*")
        return
    known = functions.get(tool)
    if not slash or known is None:
        return
    regex = ".*".join(map(re.escape, pattern.split("*")))
    if not any(re.fullmatch(regex, function) for function in known):
        remedy = nearest(pattern, known, "functions")
        checker.add(path, f"the tool {tool!r} has no function {pattern!r}", remedy)


def _tool(checker: Checker, called: str, tool: ToolKeys) -> tuple[str, ...] | None:
    """Check a tool; the functions it is known to have, None when only running it would tell."""
    here: Path = ("tools", called)
    _shared(checker, here, tool)
    match tool:
        case FunctionsSpec():
            _requirements(checker, here, tool)
            for index, name in enumerate(tool.files):
                _extra(checker, (*here, "files", index), name)
            return _functions(checker, (*here, "functions"), tool.functions)
        case MemorySpec():
            _memory(checker, (*here, "memory"), tool)
            return MEMORY_FUNCTIONS
        case SandboxSpec():
            return SANDBOX_FUNCTIONS[tool.sandbox]
        case UrlSpec():
            plain = tool.url.startswith("http:") and not is_loopback(money.host(tool.url))
            if plain and not tool.allow_plain_http:
                remedy = "Use https, or set allow_plain_http: true"
                checker.add((*here, "url"), "speaks HTTP without TLS to another machine", remedy)
    return None


def _functions(checker: Checker, path: Path, name: str) -> tuple[str, ...] | None:
    file = checker.file(path, name) if checker.inside(path, name) else None
    if file is None:
        return None
    functions = marked_functions(file, str(file), checker.faults)
    if functions == ():
        remedy = "Write `from seawall import tool` and mark a function with @tool"
        checker.add(path, f"no function in {name} is marked @tool", remedy)
        return None
    return functions


def _extra(checker: Checker, path: Path, name: str) -> None:
    if checker.inside(path, name) and not (checker.spec.home.folder / name).exists():
        checker.add(path, f"there is no {name!r}", "Paths are relative to the spec's folder")


def _requirements(checker: Checker, here: Path, keys: RequirementKeys) -> None:
    name, path = keys.requirements, (*here, "requirements")
    file = checker.file(path, name) if name and checker.inside(path, name) else None
    text = read_text(file, Place(str(file)), checker.faults) if file else None
    if text is None or name is None:
        return
    lines, faults = as_requirements(name, text)
    if not faults:
        _, faults = read_pins(lines, unhashed=keys.allow_unhashed_requirements)
    for fault in faults:
        checker.faults.add(Place(str(file), fault.line), path, fault.fault, fault.remedy)


def _memory(checker: Checker, path: Path, tool: MemorySpec) -> None:
    if tool.memory.documents is not None:
        checker.file((*path, "documents"), tool.memory.documents, folder=True)
    for key, agents in (("readers", tool.memory.readers), ("writers", tool.memory.writers)):
        for index, agent in enumerate(agents or ()):
            if agent not in checker.known.agents:
                remedy = nearest(agent, checker.known.agents, "agents")
                checker.add((*path, key, index), f"there is no agent {agent!r}", remedy)


def _shared(checker: Checker, here: Path, workload: AgentKeys | ToolKeys) -> None:
    """Services, and hosts outside."""
    for index, service in enumerate(workload.connects):
        if service not in checker.known.services:
            remedy = nearest(service, checker.known.services, "services")
            checker.add((*here, "connects", index), f"there is no service {service!r}", remedy)
    _repeated(checker, (*here, "connects"), workload.connects)
    hosts = tuple(f"{egress.host}:{egress.port}" for egress in workload.egress)
    _repeated(checker, (*here, "egress"), hosts)
    _spoken_http(checker, (*here, "egress"), workload.egress)


def _spoken_http(checker: Checker, path: Path, grants: tuple[Egress, ...]) -> None:
    """A client says http:// to a host by the gateway, and to one without TLS: only one of them."""
    seen: dict[str, Egress] = {}
    for index, egress in enumerate(grants):
        if not (egress.by_gateway or egress.allow_plain_http):
            continue
        other = seen.setdefault(egress.host, egress)
        if other is not egress and (egress.by_gateway or other.by_gateway):
            fault = f"http://{egress.host} would mean two grants, on ports {other.port} and "
            checker.add((*path, index), f"{fault}{egress.port}", "Keep one of them")


def _repeated(checker: Checker, path: Path, items: tuple[str, ...]) -> None:
    for index, item in enumerate(items):
        if item in items[:index]:
            checker.add((*path, index), f"{item!r} is listed twice", "Remove one of them")
