"""The ledger's changes as Lua scripts: each happens whole or not at all, by the server's clock.

KEYS[1] is the hash of a job, KEYS[2] the set of jobs that are not final, KEYS[3] the sorted set of
those whose objects are to be deleted; the other keys of a job are made from the first. Deadlines
are in milliseconds.

A script whose answer was lost is sent again by redis-py. Those whose repeat nothing else would put
right know it and answer it alike. Chunks that TAKE gave to nobody are lost messages, which the
sweep queues again.
"""

from petsearch.domain import MOST_LEFT_OUT_NAMES

KEEP_S = 7 * 24 * 3600
"""How long a finished job's chunk keys are kept: longer than any message can be delivered again."""

COMMON = f"""
local job, active, discards = KEYS[1], KEYS[2], KEYS[3]
local pending, queued = job .. ':pending', job .. ':queued'
local holders, since, starts = job .. ':holders', job .. ':since', job .. ':starts'
local chunks, reserved, marks = job .. ':chunks', job .. ':reserved', job .. ':marks'
local samples, problems, reading = job .. ':samples', job .. ':problems', job .. ':reading'
local left_out = job .. ':left_out'
local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
-- A late write must not bring a deleted job back: whatever else its hash holds, it has a source.
local function exists()
  return redis.call('HEXISTS', job, 'source') == 1
end
local function changed()
  redis.call('HINCRBY', job, 'version', 1)
end
-- A sign of life, of its client or its workers: without one for long, a job expires.
local function touch()
  redis.call('HSET', job, 'added_ms', now_ms())
end
local function let_go(chunk)
  redis.call('HDEL', holders, chunk)
  redis.call('HDEL', since, chunk)
end
local function is_stopped()
  local flags = redis.call('HMGET', job, 'source', 'paused', 'cancelled')
  return not flags[1] or flags[2] == '1' or flags[3] == '1'
end
local function open_chunks()
  return redis.call('LLEN', pending) + redis.call('ZCARD', queued)
end
-- From an index of ARGV on: how many names follow, the names, then pairs of reason and count.
local function leave_out(first)
  if not ARGV[first] then return end
  local names = tonumber(ARGV[first])
  for i = first + 1, first + names do
    if redis.call('LLEN', left_out) < {MOST_LEFT_OUT_NAMES} then
      redis.call('RPUSH', left_out, ARGV[i])
    end
  end
  for i = first + names + 1, #ARGV, 2 do
    redis.call('HINCRBY', job, 'left_out:' .. ARGV[i], ARGV[i + 1])
  end
end
local function finish(now)
  local flags = redis.call('HMGET', job, 'sealed', 'cancelled', 'finished_at')
  if flags[3] or (flags[1] ~= '1' and flags[2] ~= '1') or open_chunks() > 0 then return end
  redis.call('HSET', job, 'finished_at', now)
  redis.call('HDEL', job, 'reason')
  local id = redis.call('HGET', job, 'id')
  redis.call('SREM', active, id)
  if flags[2] == '1' then redis.call('ZADD', discards, 0, id) end
  for _, key in ipairs({{holders, since, starts, chunks, reserved, marks, samples, reading}}) do
    redis.call('EXPIRE', key, {KEEP_S})
  end
end
local function go_on()
  redis.call('HDEL', job, 'finished_at')
  redis.call('SADD', active, redis.call('HGET', job, 'id'))
  for _, key in ipairs({{holders, since, starts, chunks, reserved, marks}}) do
    redis.call('PERSIST', key)
  end
  redis.call('DEL', samples)
  touch()
end
"""
"""Comes before each of the scripts."""

SCRIPTS = {
    "CREATE": """
-- KEYS[4] is the sorted set of all jobs. ARGV: most_open_jobs, id, created_at, then the fields
if not exists() and redis.call('SCARD', active) >= tonumber(ARGV[1]) then return 0 end
redis.call('HSET', job, unpack(ARGV, 4))
redis.call('ZADD', KEYS[4], ARGV[3], ARGV[2])
redis.call('SADD', active, ARGV[2])
return 1
""",
    "RESERVE": """
-- ARGV: item_count, name of the call or '', its digest
if not exists() then return {-1, 0, 0} end
if ARGV[2] ~= '' then
  local slot = redis.call('HGET', reserved, ARGV[2])
  if slot then
    local chunk, item, count, digest = string.match(slot, '(%d+):(%d+):(%d+):(.*)')
    if digest ~= ARGV[3] then return {-3, 0, 0} end
    local added = redis.call('HEXISTS', chunks, chunk)
    -- Of another size it is another chunk, unless the first one counts already.
    if added == 1 or count == ARGV[1] then return {tonumber(chunk), tonumber(item), added} end
  end
end
local flags = redis.call('HMGET', job, 'sealed', 'cancelled')
if flags[1] == '1' or flags[2] == '1' then return {-2, 0, 0} end
touch()
local chunk = redis.call('HINCRBY', job, 'next_chunk', 1) - 1
local item = redis.call('HINCRBY', job, 'next_item', ARGV[1]) - ARGV[1]
if ARGV[2] ~= '' then
  local slot = chunk .. ':' .. item .. ':' .. ARGV[1] .. ':' .. ARGV[3]
  redis.call('HSET', reserved, ARGV[2], slot)
end
return {chunk, item, 0}
""",
    "ADD": """
-- ARGV: chunk, item_count, cursor or '', whether it is the last, then what was left out
if not exists() or redis.call('HGET', job, 'cancelled') == '1' then return 0 end
if redis.call('HSETNX', chunks, ARGV[1], ARGV[2]) == 0 then return 0 end
-- It was reserved before the job was sealed, and the others were done first.
if redis.call('HGET', job, 'finished_at') then go_on() end
touch()
redis.call('HINCRBY', job, 'total', ARGV[2])
redis.call('RPUSH', pending, ARGV[1])
if ARGV[3] ~= '' then
  redis.call('HSET', job, 'cursor', ARGV[3])
  -- An enumeration numbers its chunks itself, so that one that was cut off repeats its numbers.
  redis.call('HINCRBY', job, 'next_chunk', 1)
  redis.call('HINCRBY', job, 'next_item', ARGV[2])
  -- Only readings without a new chunk add up.
  redis.call('HSET', job, 'readings', redis.call('EXISTS', reading))
end
if ARGV[4] == '1' then redis.call('HSET', job, 'sealed', '1') end
leave_out(5)
changed()
return 1
""",
    "SEAL": """
-- ARGV: now, failure or '', then what was left out
if not exists() then return -1 end
if redis.call('HGET', job, 'sealed') ~= '1' then leave_out(3) end
redis.call('HSET', job, 'sealed', '1')
if ARGV[2] ~= '' then redis.call('HSET', job, 'failure', ARGV[2]) end
finish(ARGV[1])
changed()
return 1
""",
    "SEAL_IF_IDLE": """
-- ARGV: idle_ms, now
local f = redis.call('HMGET', job, 'source', 'sealed', 'spec', 'paused', 'added_ms')
if not f[1] or f[2] == '1' or f[3] or f[4] == '1' then return 0 end
local now = now_ms()
if not f[5] then redis.call('HSET', job, 'added_ms', now) end
if now - (f[5] or now) < tonumber(ARGV[1]) then return 0 end
redis.call('HSET', job, 'sealed', '1')
finish(ARGV[2])
changed()
return 1
""",
    "EXPECT": """
-- ARGV: expected
if exists() then redis.call('HSET', job, 'expected', ARGV[1]) end
""",
    "REASON": """
-- ARGV: reason or ''
if not exists() or (redis.call('HGET', job, 'reason') or '') == ARGV[1] then return end
if ARGV[1] == '' then
  redis.call('HDEL', job, 'reason')
else
  redis.call('HSET', job, 'reason', ARGV[1])
end
changed()
""",
    "MARK": """
-- ARGV: item, token of the call
if not exists() then return 1 end
local by = ARGV[1] .. ':by'  -- beside the count, which earlier versions increase as it is
if redis.call('HGET', marks, by) == ARGV[2] then  -- a repeat
  return tonumber(redis.call('HGET', marks, ARGV[1]) or 1)
end
redis.call('HSET', marks, by, ARGV[2])
return redis.call('HINCRBY', marks, ARGV[1], 1)
""",
    "TAKE": """
-- ARGV: most_queued, patience_ms, most_open
if is_stopped() then return nil end
local taken, now = {}, now_ms()
for _ = 1, ARGV[1] - redis.call('ZCARD', queued) do
  local chunk = redis.call('LPOP', pending)
  if not chunk then break end
  redis.call('ZADD', queued, now + ARGV[2], chunk)
  redis.call('HSET', since, chunk, now)
  taken[#taken + 1] = tonumber(chunk)
end
local f = redis.call('HMGET', job, 'queue', 'spec', 'sealed')
local is_read_on = f[2] and f[3] ~= '1' and open_chunks() < tonumber(ARGV[3])
  and redis.call('EXISTS', reading) == 0
if is_read_on then redis.call('HSET', job, 'asked_ms', now) end
return {taken, f[1], is_read_on and 1 or 0}
""",
    "CLAIM": """
-- ARGV: chunk, holder, lease_ms
if redis.call('HGET', holders, ARGV[1]) == ARGV[2] then  -- a repeat
  return {'run', redis.call('HGET', starts, ARGV[1]) - 1}
end
if is_stopped() then
  if redis.call('HGET', job, 'paused') == '1' and not redis.call('HGET', holders, ARGV[1])
     and redis.call('ZREM', queued, ARGV[1]) == 1 then
    let_go(ARGV[1])
    redis.call('LPUSH', pending, ARGV[1])
  end
  return {'gone', 0}
end
local deadline = redis.call('ZSCORE', queued, ARGV[1])
if not deadline then return {'gone', 0} end
local now = now_ms()
if redis.call('HGET', holders, ARGV[1]) and tonumber(deadline) > now then return {'busy', 0} end
redis.call('HSET', holders, ARGV[1], ARGV[2])
redis.call('ZADD', queued, now + ARGV[3], ARGV[1])
return {'run', redis.call('HINCRBY', starts, ARGV[1], 1) - 1}
""",
    "EXTEND": """
-- ARGV: chunk, holder, lease_ms
if redis.call('HGET', holders, ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('ZADD', queued, 'XX', now_ms() + ARGV[3], ARGV[1])
return 1
""",
    "HAND_BACK": """
-- ARGV: chunk, holder, now
if redis.call('HGET', holders, ARGV[1]) ~= ARGV[2] then return 0 end
let_go(ARGV[1])
redis.call('HINCRBY', starts, ARGV[1], -1)
if redis.call('ZREM', queued, ARGV[1]) == 0 then return 1 end
if redis.call('HGET', job, 'cancelled') ~= '1' then
  redis.call('LPUSH', pending, ARGV[1])
elseif exists() then
  finish(ARGV[3])
  changed()
end
return 1
""",
    "ACCOUNT": """
-- ARGV: now, chunk, problems, warned, then pairs of status and count
if redis.call('ZREM', queued, ARGV[2]) == 0 then return 0 end
touch()
let_go(ARGV[2])
redis.call('HDEL', starts, ARGV[2])
local done = 0
if ARGV[4] ~= '0' then redis.call('HINCRBY', job, 'warned', ARGV[4]) end
for i = 5, #ARGV, 2 do
  redis.call('HINCRBY', job, 'count:' .. ARGV[i], ARGV[i + 1])
  done = redis.call('HINCRBY', job, 'done', ARGV[i + 1])
end
if ARGV[3] ~= '0' then redis.call('SADD', problems, ARGV[2]) end
redis.call('LPUSH', samples, now_ms() .. ':' .. done)
redis.call('LTRIM', samples, 0, 63)
redis.call('HDEL', job, 'reason')
finish(ARGV[1])
changed()
return 1
""",
    "REQUEUE": """
-- ARGV: chunk, patience_ms, now
local deadline = redis.call('ZSCORE', queued, ARGV[1])
local now = now_ms()
if not deadline or tonumber(deadline) > now then return 0 end
redis.call('HDEL', holders, ARGV[1])
if is_stopped() then
  redis.call('ZREM', queued, ARGV[1])
  redis.call('HDEL', since, ARGV[1])
  if redis.call('HGET', job, 'paused') == '1' then redis.call('LPUSH', pending, ARGV[1]) end
  if exists() then finish(ARGV[3]) end
  return 0
end
redis.call('ZADD', queued, now + ARGV[2], ARGV[1])
redis.call('HSET', since, ARGV[1], now)
return 1
""",
    "READ": """
-- ARGV: holder, lease_ms, most_open
local f = redis.call('HMGET', job, 'sealed', 'spec', 'cursor', 'next_chunk', 'next_item')
if redis.call('GET', reading) ~= ARGV[1] then  -- else a repeat
  local is_done = f[1] == '1' or not f[2] or is_stopped()
  if is_done or open_chunks() >= tonumber(ARGV[3]) then return nil end
  if not redis.call('SET', reading, ARGV[1], 'NX', 'PX', ARGV[2]) then return nil end
  redis.call('HDEL', job, 'asked_ms')
  redis.call('HINCRBY', job, 'readings', 1)
end
local deaths = (redis.call('HGET', job, 'readings') or 1) - 1
return {f[2], f[3] or '', tonumber(f[4] or 0), tonumber(f[5] or 0), deaths}
""",
    "CONTROL": """
-- ARGV: pause | resume | cancel, now, token of the call
if not exists() then return -1 end
if redis.call('HGET', job, 'cancelled_by') == ARGV[3] then return 1 end  -- a repeat
if redis.call('HGET', job, 'finished_at') then return -2 end
if redis.call('HGET', job, 'cancelled') == '1' then return -3 end
if ARGV[1] == 'pause' then redis.call('HSET', job, 'paused', '1') end
if ARGV[1] == 'resume' then
  redis.call('HDEL', job, 'paused', 'reason')
  touch()
end
if ARGV[1] == 'cancel' then
  redis.call('HSET', job, 'cancelled', '1', 'cancelled_by', ARGV[3])
  redis.call('HDEL', job, 'paused', 'reason')
  redis.call('DEL', pending)
  -- A held chunk accounts for what it has; the others will not be claimed.
  for _, chunk in ipairs(redis.call('ZRANGE', queued, 0, -1)) do
    if not redis.call('HGET', holders, chunk) then
      redis.call('ZREM', queued, chunk)
      redis.call('HDEL', since, chunk)
    end
  end
  finish(ARGV[2])
end
changed()
return 1
""",
    "RESERVE_RETRY": """
if not exists() then return -1 end
return redis.call('HINCRBY', job, 'next_chunk', 1) - 1
""",
    "REOPEN": """
-- ARGV: how many of the items were warned of, then pairs of chunk and failed_count
if not exists() then return -1 end
if redis.call('HEXISTS', chunks, ARGV[2]) == 1 then return 1 end  -- a repeat: it is this call's
if not redis.call('HGET', job, 'finished_at') or redis.call('HGET', job, 'cancelled') == '1' then
  return -2
end
local failed = 0
for i = 3, #ARGV, 2 do failed = failed + ARGV[i] end
if failed > tonumber(redis.call('HGET', job, 'count:failed') or 0) then return -2 end
for i = 2, #ARGV, 2 do
  redis.call('HSET', chunks, ARGV[i], ARGV[i + 1])
  redis.call('HINCRBY', job, 'count:failed', -ARGV[i + 1])
  redis.call('HINCRBY', job, 'done', -ARGV[i + 1])
  redis.call('RPUSH', pending, ARGV[i])
end
local warned = redis.call('HGET', job, 'warned') or 0
redis.call('HSET', job, 'warned', math.max(0, warned - ARGV[1]))
redis.call('HSETNX', job, 'first_retry', ARGV[2])
go_on()
changed()
return 1
""",
    "OVERDUE": """
-- ARGV: long_wait_ms, idle_ms
local f = redis.call(
  'HMGET', job, 'source', 'queue', 'sealed', 'spec', 'paused', 'added_ms', 'asked_ms'
)
if not f[1] then return nil end
local now, is_open = now_ms(), f[3] ~= '1'
local is_idle = is_open and not f[4] and f[5] ~= '1' and now - (f[6] or 0) >= tonumber(ARGV[2])
local waits = not is_stopped() and redis.call('LLEN', pending) > 0
local is_unread = not is_stopped() and f[4] and is_open and redis.call('EXISTS', reading) == 0
-- Whoever read the source last is gone, and nobody was asked since; or it was asked for long ago.
local is_lost = is_unread and (not f[7] or now - f[7] > tonumber(ARGV[1]))
local lost, unclaimed = {}, {}
for _, chunk in ipairs(redis.call('ZRANGEBYSCORE', queued, '-inf', now)) do
  local waited = now - (redis.call('HGET', since, chunk) or 0)
  if redis.call('HGET', holders, chunk) or waited > tonumber(ARGV[1]) then
    lost[#lost + 1] = tonumber(chunk)
  else
    unclaimed[#unclaimed + 1] = tonumber(chunk)
  end
end
local told = {is_idle, waits, is_unread and not is_lost, is_lost}
for i = 1, 4 do told[i] = told[i] and 1 or 0 end
return {lost, unclaimed, f[2], unpack(told)}
""",
    "END_LEASES": """
for _, chunk in ipairs(redis.call('ZRANGE', queued, 0, -1)) do
  redis.call('ZADD', queued, 0, chunk)
end
redis.call('DEL', reading)
""",
    "EXTEND_READING": """
-- ARGV: holder, lease_ms
if redis.call('GET', reading) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', reading, ARGV[2])
""",
    "REPLACE_HELD": """
-- KEYS[1] is a call, not a job. ARGV: its value while it is held, the next value or '', ms
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '' then return redis.call('DEL', KEYS[1]) end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
""",
    "END_READING": """
-- ARGV: holder
if redis.call('GET', reading) ~= ARGV[1] then return end
redis.call('DEL', reading)
if exists() and tonumber(redis.call('HGET', job, 'readings') or 0) > 0 then
  redis.call('HINCRBY', job, 'readings', -1)
end
""",
}
