"""What the journal keeps in Redis, and the Lua scripts that change it.

    talkabout:{<stream>}:events   a Redis Stream: id `<seq>-0`, fields block, final, at (ms), by (who published it)
    talkabout:{<stream>}:lease    owner ('' after a hand-over), until (ms), read (Unix seconds)
    talkabout:{due}               streams that have a lease, by when it runs out: an index of the leases
    talkabout:{old}               streams that have entries, by the age of the oldest: an index for pruning

What stands in braces decides the slot in a Redis Cluster, so a stream's events and its lease are always in one, and
each script touches these two at most: who appends is checked in the same step. The indexes are in slots of their own
and are only hints; who follows them looks at the stream itself. All times of leases are the Redis server's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from answers.entries import Batch
from answers.redis_protocol import Part, packed, strings

DUE = "talkabout:{due}"
OLD = "talkabout:{old}"
HEADS_KEPT = 4096


def events(stream: str) -> str:
    """Name the key of a stream's entries."""
    return f"talkabout:{{{stream}}}:events"


def lease(stream: str) -> str:
    """Name the key of a stream's lease."""
    return f"talkabout:{{{stream}}}:lease"


class Script(NamedTuple):
    """Hold a script's text and the name by which Redis knows it once it is loaded."""

    text: str
    sha: str


def _script(text: str) -> Script:
    text = _COMMON + text
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


_COMMON = """
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function last_of(key)
  local newest = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)
  if newest[1] then return tonumber(string.match(newest[1][1], '^%d+')) end
  if redis.call('EXISTS', key) == 0 then return 0 end
  local info = redis.call('XINFO', 'STREAM', key)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then return tonumber(string.match(info[i + 1], '^%d+')) end
  end
end
local function field(entry, name)
  for i = 1, #entry[2], 2 do
    if entry[2][i] == name then return entry[2][i + 1] end
  end
end
-- Where there is an end and no lease, none was lost: another producer has ended the answer, and given it up.
local function has_ended(key)
  local newest = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
  return newest and field(newest, 'final') == '1'
end
local function owner() return redis.call('HGET', KEYS[#KEYS], 'owner') end
local function hold(milliseconds, forget_ms)
  local til = now() + milliseconds
  redis.call('HSET', KEYS[#KEYS], 'owner', ARGV[1], 'until', til)
  redis.call('PEXPIRE', KEYS[#KEYS], forget_ms)
  return til
end
"""

# events, lease; owner, forget after, first seq, '1' if the last entry is final, then the blocks -> 1, or 0 if it is
# refused
COMMIT = _script("""
local holder, is_end = owner(), ARGV[4] == '1'
if holder ~= ARGV[1] and (holder or not is_end) then return 0 end
local first, count, last = tonumber(ARGV[3]), #ARGV - 4, last_of(KEYS[1])
local function final(i) return i == count and ARGV[4] or '' end
if first > last + 1 or (first > last and not holder) then return 0 end
if first <= last then
  local kept = redis.call('XRANGE', KEYS[1], first, first + count - 1)
  if #kept ~= count then return 0 end
  for i, entry in ipairs(kept) do
    if field(entry, 'block') ~= ARGV[4 + i] or field(entry, 'final') ~= final(i) then return 0 end
  end
  return 1
end
local at = now()
for i = 1, count do
  local id = string.format('%d-0', first + i - 1)
  redis.call('XADD', KEYS[1], id, 'block', ARGV[4 + i], 'final', final(i), 'at', at)
end
if first == 1 or is_end then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end -- between the two RENEW does it
if is_end then redis.call('DEL', KEYS[2]) end
return 1
""")

# events; seq, entries to keep, forget after, then who publishes and block of each entry -> 0, or the seq that is the
# next one instead
PUBLISH = _script("""
local seq, next = tonumber(ARGV[1]), last_of(KEYS[1]) + 1
if next ~= seq then
  local kept = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])
  return kept[1] and field(kept[1], 'by') == ARGV[4] and 0 or next
end
local at = now()
for i = 4, #ARGV, 2 do
  local id = string.format('%d-0', seq + (i - 4) / 2)
  redis.call('XADD', KEYS[1], id, 'block', ARGV[i + 1], 'final', '', 'at', at, 'by', ARGV[i])
end
redis.call('XTRIM', KEYS[1], 'MAXLEN', '=', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 0
""")

# events -> first kept seq, last seq
BOUNDS = _script("""
local last, kept = last_of(KEYS[1]), redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)
return {kept[1] and tonumber(string.match(kept[1][1], '^%d+')) or last + 1, last}
""")

# events, lease; owner, lasts for, forget after, seq -> 1 if the stream goes on behind that seq now
MEND = _script("""
local holder, last, seq = owner(), last_of(KEYS[1]), tonumber(ARGV[4])
if holder and holder ~= ARGV[1] or last > seq then return 0 end
if not holder and has_ended(KEYS[1]) then return 0 end
if last < seq then
  redis.call('XADD', KEYS[1], ARGV[4] .. '-0', 'block', '')
  redis.call('XTRIM', KEYS[1], 'MAXLEN', '=', 0)
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
hold(ARGV[2], ARGV[3])
return 1
""")

# index of the leases; lasts for, stream -> 1 if it was not there
NOTE = _script("return redis.call('ZADD', KEYS[1], 'NX', now() + ARGV[1], ARGV[2])")

# lease; owner, lasts for, forget after -> when it runs out, or 0 if another has it
TAKE = _script("""
local holder = owner()
if holder and holder ~= ARGV[1] and tonumber(redis.call('HGET', KEYS[1], 'until')) > now() then return 0 end
return hold(ARGV[2], ARGV[3])
""")

# events, lease; owner, lasts for, forget after, '1' to take it again where there is none -> when it runs out, or 0
RENEW = _script("""
local holder = owner()
if holder and holder ~= ARGV[1] or not holder and (ARGV[4] ~= '1' or has_ended(KEYS[1])) then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return hold(ARGV[2], ARGV[3])
""")

# lease; owner -> 1, or 0 if another has it
RELEASE = _script("""
local holder = owner()
if holder and holder ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
return 1
""")

# lease; owner -> when it ran out, or 0 if another has it
HAND_OVER = _script("""
if owner() ~= ARGV[1] then return 0 end
local til = math.min(now(), tonumber(redis.call('HGET', KEYS[1], 'until')))
redis.call('HSET', KEYS[1], 'owner', '', 'until', til)
return til
""")

# lease -> 1 if it has run out, or is lost while the index still has it
RUN_OUT = _script("""
local til = redis.call('HGET', KEYS[1], 'until')
return (not til or tonumber(til) <= now()) and 1 or 0
""")

# index of the leases; how many -> streams that are due, the longest ago first
FIND_DUE = _script("return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now(), 'LIMIT', 0, ARGV[1])")

# lease; time
TOUCH = _script("return redis.call('EXISTS', KEYS[1]) == 1 and redis.call('HSET', KEYS[1], 'read', ARGV[1])")

# events, lease; older than, at most -> how many are gone, age of the oldest that is left or ''
PRUNE = _script("""
local kept = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', ARGV[2] + 1)
local gone = 0
if redis.call('EXISTS', KEYS[2]) == 0 then
  while gone < math.min(#kept, ARGV[2]) and tonumber(field(kept[gone + 1], 'at')) < tonumber(ARGV[1]) do
    gone = gone + 1
  end
end
if gone > 0 then redis.call('XTRIM', KEYS[1], 'MAXLEN', '=', redis.call('XLEN', KEYS[1]) - gone) end
return {gone, kept[gone + 1] and field(kept[gone + 1], 'at') or ''}
""")

ALL = (COMMIT, PUBLISH, BOUNDS, MEND, NOTE, TAKE, RENEW, RELEASE, HAND_OVER, RUN_OUT, FIND_DUE, TOUCH, PRUNE)


def call(script: Script, *keys: str, args: Sequence[Part] = ()) -> bytes:
    """Return the command that runs a script."""
    return packed("EVALSHA", script.sha, len(keys), *keys, *args)


def commit(batch: Batch, forget_ms: int) -> bytes:
    """Return the command that writes a batch."""
    entries = batch.entries
    is_end = b"1" if entries[-1].final else b""
    rest = strings(entries[0].seq, is_end, *[entry.block for entry in entries])
    return b"*%d\r\n%b%b" % (9 + len(entries), _commit_head(batch.stream, batch.owner, forget_ms), rest)


@lru_cache(HEADS_KEPT)
def _commit_head(stream: str, owner: str, forget_ms: int) -> bytes:
    """Encode what is the same in every commit of an answer."""
    return strings("EVALSHA", COMMIT.sha, 2, events(stream), lease(stream), owner, forget_ms)
