-- Shared by every script of a thread. KEYS: 1 stream, 2 hash, 3 channel; all under the thread's hash tag.
--
-- The stream has the events: ids <epoch>-<seq>, fields t (target) and j (its JSON, as clients see it). The hash has everything else:
--   e q g      head: epoch, seq, and the replication id of the server that appended it
--   x          tombstone
--   tr         the place of the newest trimmed event
--   s sn s:<i> snapshot: place, number of parts, parts
--   open closed  correlation ids, packed, in the order in which runs were accepted, or ended
--   r:<id> p:<id> t:<id>  a run, the constant beginning of its events, the response that its terminal stores
--   k:<key>    an idempotency key: correlation id and fingerprint
--
-- A script answers {'OK', ...}, or {'<what is wrong>', ...} having changed nothing but, for EPOCH, the head.

local STREAM, HASH, CHANNEL = KEYS[1], KEYS[2], KEYS[3]

local KEEP_CLOSED = 200

-- A number without fraction, in full: '..' alone begins to write powers of ten here.
local function whole(n)
  return n < 1e14 and n .. '' or string.format('%.0f', n)
end

local function is_deleted()
  return redis.call('HEXISTS', HASH, 'x') == 1
end

-- Head

local function load_head()
  local f = redis.call('HMGET', HASH, 'e', 'q', 'g')
  return { e = tonumber(f[1] or nil), q = tonumber(f[2] or nil), g = f[3] }
end

local function save_head(head)
  redis.call('HSET', HASH, 'e', whole(head.e), 'q', whole(head.q), 'g', head.g)
end

local function open_epoch(head, at_least)
  head.e, head.q = math.max(at_least, (head.e or 0) + 1), 0
end

-- Another server than the one that appended last may have lost what that one had: what it appends is a new epoch.
local function follow_server(head, now)
  local info, label = redis.call('INFO', 'replication'), 'master_replid:'
  local at = string.find(info, label, 1, true)
  local server = at and string.sub(info, at + #label, at + #label + 39) or ''
  if head.g ~= server or not head.e then
    open_epoch(head, now)
    head.g = server
    return true
  end
  return false
end

local function is_before(head, epoch, seq)
  return not head.e or head.e < epoch or (head.e == epoch and head.q < seq)
end

-- Events. A list of them is flat: target, body, target, body, …

local function trim(keep)
  local surplus = redis.call('XLEN', STREAM) - keep
  local snapshot = redis.call('HGET', HASH, 's')
  if surplus <= 0 or not snapshot then return end
  local oldest = redis.call('XRANGE', STREAM, '-', snapshot, 'COUNT', surplus)
  if #oldest == 0 then return end
  local ids = {}
  for i, entry in ipairs(oldest) do ids[i] = entry[1] end
  for i = 1, #ids, 1000 do
    redis.call('XDEL', STREAM, unpack(ids, i, math.min(i + 999, #ids)))
  end
  redis.call('HSET', HASH, 'tr', ids[#ids])
end

-- Appends events[from], …, behind the head, which follow_server has seen, and publishes. With the head another field of
-- the hash is written. Each body becomes the event's JSON: the place is spliced in, and these are the bytes that every
-- node, reader and client gets. What is published is MessagePack, [epoch, first seq, last seq, records]; the records are
-- those of the SignalR JSON protocol, made once for all nodes.
local function append(head, events, from, keep, ttl_s, field, value)
  local epoch, count, seq = whole(head.e), (#events - from + 1) / 2, head.q
  local records = {}
  for i = from, #events, 2 do
    seq = seq + 1
    local target, place = events[i], whole(seq)
    local json = string.sub(events[i + 1], 1, -2) .. ',"seq":' .. place .. ',"epoch":"' .. epoch .. '"}'
    events[i + 1] = json
    redis.call('XADD', STREAM, epoch .. '-' .. place, 't', target, 'j', json)
    records[#records + 1] = '{"type":1,"target":"' .. target .. '","arguments":[' .. json .. ']}\30'
  end
  local said = table.concat(records)
  local place = struct.pack('>BBI2', 0x94, 0xda, #epoch) .. epoch .. struct.pack('>BI8BI8', 0xcf, head.q + 1, 0xcf, seq)
  head.q = seq
  redis.call('HSET', HASH, 'e', epoch, 'q', whole(seq), 'g', head.g, field, value)
  if seq % 256 < count then trim(keep + 256) end
  redis.call('EXPIRE', STREAM, ttl_s)
  redis.call('EXPIRE', HASH, ttl_s)
  redis.call('SPUBLISH', CHANNEL, place .. struct.pack('>BI4', 0xc6, #said) .. said)
end

-- The same; answers epoch, seq, target, JSON, … of each.
local function append_events(head, events, keep, ttl_s)
  local placed, seq = {}, head.q
  if #events == 0 then return placed end
  append(head, events, 1, keep, ttl_s, 'g', head.g)
  for i = 1, #events, 2 do
    seq = seq + 1
    local n = #placed
    placed[n + 1], placed[n + 2], placed[n + 3], placed[n + 4] = whole(head.e), whole(seq), events[i], events[i + 1]
  end
  return placed
end

-- Runs

local function load_list(name)
  local packed = redis.call('HGET', HASH, name)
  return packed and cmsgpack.unpack(packed) or {}
end

local function save_list(name, list)
  redis.call('HSET', HASH, name, cmsgpack.pack(list))
end

local function load_run(id)
  local packed = redis.call('HGET', HASH, 'r:' .. id)
  return packed and cmsgpack.unpack(packed) or nil
end

local function save_run(id, run)
  redis.call('HSET', HASH, 'r:' .. id, cmsgpack.pack(run))
end

local function terminal_of(id, run)
  local response = redis.call('HGET', HASH, 't:' .. id)
  return { run.status or '', run.code or '', response and 1 or 0, response or '' }
end

local function view(id, run)
  return { id, run.agent, run.state, run.attempt, run.cancel and 1 or 0, terminal_of(id, run) }
end

local function forget_run(id)
  local run = load_run(id)
  if run and run.key then redis.call('HDEL', HASH, 'k:' .. run.key) end
  redis.call('HDEL', HASH, 'r:' .. id, 'p:' .. id, 't:' .. id)
end

local function close_run(id, run, status, code, response)
  run.state, run.status, run.code = 'done', status, code
  save_run(id, run)
  if response then redis.call('HSET', HASH, 't:' .. id, response) end
  local open, closed = {}, load_list('closed')
  for _, other in ipairs(load_list('open')) do
    if other ~= id then open[#open + 1] = other end
  end
  closed[#closed + 1] = id
  while #closed > KEEP_CLOSED do forget_run(table.remove(closed, 1)) end
  save_list('open', open)
  save_list('closed', closed)
end

local function lease(run, lease_s, now)
  run.lease_s, run.deadline = lease_s, now + lease_s * 1000
end

-- A run that has not begun: whoever accepted it lives.
local function keep_waiting(run, now)
  run.kept_until = now + run.lease_s * 1000
end

-- When a sweep ends the state that a run is in.
local function ends_at(run)
  return run.kept_until and math.min(run.kept_until, run.deadline) or run.deadline
end

-- Whether no earlier run makes this one wait.
local function is_turn(id, run)
  if not run.queued or run.unordered then return true end
  for _, other in ipairs(load_list('open')) do
    if other == id then return true end
    local rival = load_run(other)
    if rival and rival.queued and rival.agent == run.agent then return false end
  end
  return true
end

-- The body of an event that the store itself writes; `rest` begins with a comma or is the closing brace.
local function body_of(id, attempt, now, rest)
  local prefix = redis.call('HGET', HASH, 'p:' .. id)
  return prefix .. ',"attempt":' .. whole(attempt) .. ',"at":' .. whole(now) .. rest
end
