"""What each Qdrant node holds by itself, and how one that lost its volume is replaced."""

import threading
import time
from collections.abc import Callable

import httpx

from petsearch.domain import JsonDict
from tests.cluster.cluster import Cluster

NODES = ("qdrant-1", "qdrant-2", "qdrant-3")
_PATIENCE_S = 300.0
_PAGE = 500


def read_replica(cluster: Cluster, node: str, collection: str) -> dict[str, JsonDict]:
    """The payloads of all points by their ids, read from a node that no other one can help."""
    others = [other for other in NODES if other != node]
    for other in others:
        cluster.network.cut(other)
    try:
        return _scroll(f"{cluster.url(node, 6333)}/collections/{collection}/points/scroll")
    finally:
        for other in others:
            cluster.network.restore(other)


def wait_until_whole(cluster: Cluster, collection: str) -> None:
    """Wait until every node says that all replicas of all shards are there and in step."""
    urls = [f"{cluster.url(node, 6333)}/collections/{collection}/cluster" for node in NODES]
    _wait_until(lambda: all(map(_is_whole, urls)))


def replace_peer(cluster: Cluster, node: str, other: str) -> None:
    """Replace a node that lost its volume, as docs/scale.md says.

    It is removed from the cluster, joins as a new one by `other`, and is given a replica of every
    shard.
    """
    url = cluster.url(other, 6333)
    peers = httpx.get(f"{url}/cluster", timeout=30).json()["result"]["peers"]
    (lost,) = [peer for peer, at in peers.items() if cluster.addresses[node] in at["uri"]]
    httpx.delete(f"{url}/cluster/peer/{lost}?force=true", timeout=60).raise_for_status()
    cluster.replace_node(node, other)
    mine = _peer_id(cluster.url(node, 6333))
    collections = httpx.get(f"{url}/collections", timeout=30).json()["result"]["collections"]
    for name in (found["name"] for found in collections):
        known = httpx.get(f"{url}/collections/{name}/cluster", timeout=30).json()["result"]
        for shard in known["local_shards"]:
            change = {
                "shard_id": shard["shard_id"],
                "from_peer_id": known["peer_id"],
                "to_peer_id": mine,
            }
            httpx.post(
                f"{url}/collections/{name}/cluster", json={"replicate_shard": change}, timeout=60
            ).raise_for_status()
        wait_until_whole(cluster, name)


def node_that_orders(cluster: Cluster) -> str:
    """The node by which writes are ordered while it is alive: that of the highest id."""
    return max(NODES, key=lambda node: _peer_id(cluster.url(node, 6333)))


def _peer_id(url: str) -> int:
    return int(httpx.get(f"{url}/cluster", timeout=30).json()["result"]["peer_id"])


def _is_whole(url: str) -> bool:
    try:
        found = httpx.get(url, timeout=5).raise_for_status().json()["result"]
    except httpx.HTTPError:
        return False
    replicas = [*found["local_shards"], *found["remote_shards"]]
    return (
        len(replicas) == found["shard_count"] * len(NODES)
        and all(replica["state"] == "Active" for replica in replicas)
        and not found["shard_transfers"]
    )


def _scroll(url: str) -> dict[str, JsonDict]:
    points: dict[str, JsonDict] = {}
    offset = None
    while True:
        body = {"limit": _PAGE, "with_payload": True, "offset": offset}
        page = httpx.post(url, json=body, timeout=60).raise_for_status().json()["result"]
        points |= {point["id"]: point["payload"] for point in page["points"]}
        offset = page["next_page_offset"]
        if offset is None:
            return points


def _wait_until(holds: Callable[[], bool]) -> None:
    pausing, deadline = threading.Event(), time.monotonic() + _PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, "the replicas are not in step"
        pausing.wait(0.5)
