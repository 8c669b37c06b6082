"""An API server without a log: decisions are applied to the fold at once."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from podwire.proto.messages.api import ApiRequest, ApiResponse
from podwire.services.apiserver.core.authorization import MASTERS, Requester
from podwire.services.apiserver.core.decisions import Answer, Append, Decision, Many, Write
from podwire.services.apiserver.core.errors import ApiError
from podwire.services.apiserver.core.handler import decide
from podwire.services.apiserver.core.store import Store
from podwire.services.chassis.chance import RandomStream
from podwire.services.chassis.eventlog.log import StoredEvent

sys.path.insert(0, str(Path(__file__).parent))

SECOND = 1_000_000_000
ADMIN = Requester("admin", (MASTERS,))


class Server:
    """Requests go in as a client writes them, code and body come out."""

    def __init__(self) -> None:
        self.store = Store()
        self.random = RandomStream(7)
        self.now = 1_700_000_000 * SECOND
        self.warnings: list[str] = []
        self.admin = ADMIN

    def decide(
        self,
        method: str,
        path: str,
        body: Any = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        who: Requester | None = ADMIN,
        agent: str = "",
        **query: str,
    ) -> Decision:
        payload = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        message = ApiRequest(
            method=method,
            path=path,
            query=list(query.items()),
            body=payload,
            content_type=content_type,
            accept=accept,
            agent=agent,
        )
        return decide(message, who, self.store, self.now, self.random)

    def request(self, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, Any]:
        try:
            decision = self.decide(method, path, body, **more)
        except ApiError as error:
            return error.code, error.status()
        if isinstance(decision, Write):
            return decision.code, self.carry_out(decision)
        if isinstance(decision, Many):
            for write in decision.writes:
                self.carry_out(write)
            return 200, decision.result
        assert isinstance(decision, Answer), decision
        return self._read(decision.response)

    def _read(self, response: ApiResponse) -> tuple[int, Any]:
        self.warnings = response.warnings
        return response.code, json.loads(response.body) if response.body[:1] == b"{" else response.body

    def carry_out(self, write: Write) -> Any:
        for claim in write.claims:
            self.append(claim)
        revision = self.append(write.main)
        for release in write.releases:
            self.append(release)
        if write.result.get("kind") == "Status":
            return write.result
        return write.result | {"metadata": write.result["metadata"] | {"resourceVersion": str(revision)}}

    def append(self, change: Append) -> int:
        assert change.expected == self.store.last(change.key)
        revision = self.store.revision + 1
        self.store.apply(StoredEvent(revision, change.key, change.event))
        return revision

    def create(self, path: str, body: Any) -> Any:
        code, answer = self.request("POST", path, body)
        assert code == 201, answer
        return answer

    def serve_ranges(self, *cidrs: str) -> None:
        """Where ClusterIPs come from."""
        body = {"metadata": {"name": "kubernetes"}, "spec": {"cidrs": list(cidrs)}}
        kind = {"apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR"}
        self.create("/apis/networking.k8s.io/v1/servicecidrs", kind | body)

    def get(self, path: str, **more: Any) -> Any:
        code, answer = self.request("GET", path, **more)
        assert code == 200, answer
        return answer


@pytest.fixture
def server() -> Server:
    """A server with the namespace `default` and IPv4 ClusterIPs."""
    made = Server()
    made.serve_ranges("10.96.0.0/16")
    made.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})
    return made
