"""The write set in Redis: which collections are written, and who is writing, by atomic scripts."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import redis

from petsearch.adapters.redis.client import redis_errors
from petsearch.ports import WriteSetState, WriteSetStore

_PREFIX = "petsearch:write-set"
_KEYS = [_PREFIX, f"{_PREFIX}:writers", f"{_PREFIX}:hold"]

_COMMON = """
local state, writers, hold = KEYS[1], KEYS[2], KEYS[3]
local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
local function read()
  local f = redis.call('HMGET', state, 'epoch', 'collections', 'previous', 'moved_at')
  return {tonumber(f[1] or 0), f[2] or '[]', f[3] or '', f[4] or ''}
end
"""

_SCRIPTS = {
    "read": """
return read()
""",
    "change": """
-- ARGV: JSON list to add, JSON list to remove
local before = read()
local kept, names, changed = {}, {}, false
local removed = {}
for _, name in ipairs(cjson.decode(ARGV[2])) do removed[name] = true end
for _, name in ipairs(cjson.decode(before[2])) do
  kept[name] = true
  if removed[name] then changed = true else names[#names + 1] = name end
end
for _, name in ipairs(cjson.decode(ARGV[1])) do
  if not kept[name] then changed = true; names[#names + 1] = name end
end
if changed then
  redis.call('HINCRBY', state, 'epoch', 1)
  redis.call('HSET', state, 'collections', #names > 0 and cjson.encode(names) or '[]')
  if removed[before[3]] then redis.call('HDEL', state, 'previous') end
end
return read()
""",
    "move": """
-- ARGV: previous or '', now
redis.call('HSET', state, 'previous', ARGV[1], 'moved_at', ARGV[2])
""",
    "begin": """
-- ARGV: token, lease_ms
if redis.call('EXISTS', hold) == 1 then return nil end
local found = read()
redis.call('ZADD', writers, now_ms() + ARGV[2], found[1] .. ':' .. ARGV[1])
redis.call('HSET', state, 'writer:' .. ARGV[1], found[1])
return found
""",
    "end": """
-- ARGV: token
local epoch = redis.call('HGET', state, 'writer:' .. ARGV[1])
if epoch then
  redis.call('ZREM', writers, epoch .. ':' .. ARGV[1])
  redis.call('HDEL', state, 'writer:' .. ARGV[1])
end
return read()[1]
""",
    "count": """
-- ARGV: before_epoch
for _, lapsed in ipairs(redis.call('ZRANGEBYSCORE', writers, '-inf', now_ms())) do
  redis.call('ZREM', writers, lapsed)
  redis.call('HDEL', state, 'writer:' .. string.match(lapsed, ':(.*)'))
end
local count = 0
for _, entry in ipairs(redis.call('ZRANGE', writers, 0, -1)) do
  if tonumber(string.match(entry, '(%d+):')) < tonumber(ARGV[1]) then count = count + 1 end
end
return count
""",
    "hold": """
-- ARGV: holder, for_ms
-- Sent again where the first answer was lost, it holds them already.
if redis.call('GET', hold) == ARGV[1] then return 1 end
return redis.call('SET', hold, ARGV[1], 'NX', 'PX', ARGV[2]) and 1 or 0
""",
    "release": """
-- ARGV: holder
if redis.call('GET', hold) == ARGV[1] then redis.call('DEL', hold) end
""",
}


class RedisWriteSet(WriteSetStore):
    """The write set over a Redis client that decodes responses."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._scripts = {
            name: client.register_script(_COMMON + source) for name, source in _SCRIPTS.items()
        }

    def read(self) -> WriteSetState:
        return _state(self._run("read"))

    def change(self, add: Sequence[str], remove: Sequence[str]) -> WriteSetState:
        return _state(self._run("change", json.dumps(list(add)), json.dumps(list(remove))))

    def note_move(self, previous: str | None, now: datetime) -> None:
        self._run("move", previous or "", now.isoformat())

    def begin_write(self, token: str, lease_s: float) -> WriteSetState | None:
        found = self._run("begin", token, int(lease_s * 1000))
        return None if found is None else _state(found)

    def end_write(self, token: str) -> int:
        return int(self._run("end", token))

    def count_writers(self, before_epoch: int) -> int:
        return int(self._run("count", before_epoch))

    def hold_writers(self, holder: str, for_s: float) -> bool:
        return bool(self._run("hold", holder, int(for_s * 1000)))

    @redis_errors("write set")
    def holds_writers(self, holder: str) -> bool:
        return bool(self._redis.get(_KEYS[2]) == holder)

    def release_writers(self, holder: str) -> None:
        self._run("release", holder)

    @redis_errors("write set")
    def _run(self, script: str, *arguments: str | int) -> Any:
        return self._scripts[script](keys=_KEYS, args=list(arguments))


def _state(found: Sequence[Any]) -> WriteSetState:
    epoch, collections, previous, moved_at = found
    return WriteSetState(
        epoch=int(epoch),
        collections=tuple(json.loads(collections)),
        previous=previous or None,
        moved_at=datetime.fromisoformat(moved_at) if moved_at else None,
    )
