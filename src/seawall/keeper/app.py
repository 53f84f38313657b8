"""The agents' side of the keeper: identity from the gateway's header, rights from the lease."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from seawall.errors import Refused
from seawall.wire import headers
from seawall.wire.messages import (
    Begin,
    Delegated,
    Delegation,
    Failure,
    Finish,
    GiveBack,
    Lease,
    Progress,
    Release,
    Step,
    Take,
)

from . import events, journal, leases, tasks
from .http import M, answer, application, body, fault, guarded, seconds, while_connected
from .leases import Holder
from .metering import Metering
from .store import Store

DONE = b"{}"


def agents_app(store: Store) -> Starlette:
    """The ASGI app that agents reach through their gateways."""
    side = AgentsSide(store)
    posts = {
        "take": side.take,
        "renew": side.renew,
        "begin": side.begin,
        "record": side.record,
        "release": side.release,
        "delegate": side.delegate,
        "progress": side.progress,
        "finish": side.finish,
        "fail": side.fail,
        "give_back": side.give_back,
    }
    routes = [Route(f"/v1/{name}", guarded(do), methods=["POST"]) for name, do in posts.items()]
    routes.append(Route("/v1/result/{task}", guarded(side.result)))
    # Envoy's ext_authz asks with the original request's method, and its path after the prefix.
    methods = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]
    authorize = guarded(side.authorize)
    routes.append(Route("/v1/authorize", authorize, methods=methods))
    routes.append(Route("/v1/authorize/{rest:path}", authorize, methods=methods))
    # Outside /v1/, which is all of the keeper that a gateway lets an agent reach.
    routes.append(Route("/gateway/settle", guarded(side.metering.settle), methods=["POST"]))
    return application([*routes])


class AgentsSide:
    """The handlers; each reads its message, and leaves the deciding to the module it names."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.metering = Metering(store)

    async def take(self, request: Request) -> Response:
        """A lease, or 204 when there was no work in time."""
        agent = self._agent(request)
        message = await self._body(request, Take)

        async def undo(lease: Lease | None) -> None:
            if lease:
                await tasks.put_back(self.store, lease)

        lease = await while_connected(request, tasks.take(self.store, agent, message), undo)
        return answer(lease) if lease else Response(status_code=204)

    async def renew(self, request: Request) -> Response:
        """Lengthen the lease."""
        return answer(await leases.renew(self.store, self._holder(request)))

    async def begin(self, request: Request) -> Response:
        """A step is about to happen: room for it in the budgets, or a refusal."""
        held = self._holder(request)
        await journal.begin(self.store, held, await self._body(request, Begin))
        return _done()

    async def record(self, request: Request) -> Response:
        """A step has happened."""
        held = self._holder(request)
        await journal.record(self.store, held, await self._body(request, Step))
        return _done()

    async def release(self, request: Request) -> Response:
        """A step that began will not be recorded."""
        held = self._holder(request)
        await journal.release(self.store, held, await self._body(request, Release))
        return _done()

    async def delegate(self, request: Request) -> Response:
        """Hand work to another agent."""
        held = self._holder(request)
        message = await self._body(request, Delegation)
        return answer(Delegated(task=await tasks.delegate(self.store, held, message)))

    async def result(self, request: Request) -> Response:
        """How a child stands."""
        held, task = self._holder(request), request.path_params["task"]
        work = tasks.result(self.store, held, task, seconds(request))
        return answer(await while_connected(request, work))

    async def progress(self, request: Request) -> Response:
        """What the agent is doing."""
        held = self._holder(request)
        await events.progress(self.store, held, await self._body(request, Progress))
        return _done()

    async def finish(self, request: Request) -> Response:
        """The answer."""
        held = self._holder(request)
        await tasks.finish(self.store, held, await self._body(request, Finish))
        return _done()

    async def fail(self, request: Request) -> Response:
        """The failure."""
        held = self._holder(request)
        await tasks.fail(self.store, held, await self._body(request, Failure))
        return _done()

    async def give_back(self, request: Request) -> Response:
        """The replica stops, the task goes on elsewhere."""
        held = self._holder(request)
        await tasks.give_back(self.store, held, await self._body(request, GiveBack))
        return _done()

    async def authorize(self, request: Request) -> Response:
        """Envoy's ext_authz: 200 with who asks, or 403 whatever is wrong with the token."""
        path = request.path_params.get("rest", "")
        if self.store.policy.metered and path.startswith("models/"):
            return await self.metering.reserve(request, self._holder, path)
        try:
            named = await leases.authorize(self.store, self._holder(request))
        except Refused as refused:
            response = fault(refused.code, refused.fault, refused.remedy)
            response.status_code = 403
            return response
        return Response(DONE, headers=leases.told(named, request), media_type="application/json")

    def _agent(self, request: Request) -> str:
        names = request.headers.getlist(headers.AGENT)
        if len(names) != 1 or not names[0]:
            raise Refused("no_identity", "a request must come through an agent's gateway")
        name = names[0]
        if name not in self.store.policy.delegates:
            raise Refused("identity", "no agent of this mesh has that name")
        return name

    def _holder(self, request: Request) -> Holder:
        return leases.holder(request.headers.get(headers.LEASE, ""), self._agent(request))

    async def _body(self, request: Request, kind: type[M]) -> M:
        return await body(request, kind, self.store.policy.limits.payload_bytes_max)


def _done() -> Response:
    return Response(DONE, media_type="application/json")
