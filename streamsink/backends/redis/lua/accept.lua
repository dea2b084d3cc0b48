-- ARGV: keep, ttl, correlation id, agent, prefix, key, fingerprint, queue limit, queue timeout, redelivery, lease,
-- 1 when it is ordered, the name of this very call; target, body
-- Answers whether this call has made the run, also when it is repeated because its answer was lost: whoever is told so
-- executes it, and nobody else does.
local keep, ttl_s, id, agent, prefix = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local key, fingerprint, limit, call = ARGV[6], ARGV[7], tonumber(ARGV[8]), ARGV[13]
if is_deleted() then return { 'DELETED' } end

if key ~= '' then
  local known = redis.call('HGET', HASH, 'k:' .. key)
  if known then
    local named = cmsgpack.unpack(known)
    if named[2] ~= fingerprint then return { 'KEY' } end
    id = named[1]
  end
end
local run = load_run(id)
if run then return { 'OK', run.state == 'accepted' and run.call == call and 1 or 0, view(id, run), {} } end

local open = load_list('open')
if limit then
  local waiting = 0
  for _, other in ipairs(open) do
    local rival = load_run(other)
    if rival.queued and rival.agent == agent then waiting = waiting + 1 end
  end
  if waiting >= limit then return { 'BUSY', waiting } end
end

local now = now_ms()
run = {
  agent = agent, queued = limit ~= nil, redelivery_s = tonumber(ARGV[10]), state = 'accepted', attempt = 0,
  deadline = now + tonumber(ARGV[9]) * 1000, lease_s = tonumber(ARGV[11]), cancel = false, key = key ~= '' and key or nil,
  call = call, unordered = ARGV[12] ~= '1' or nil,
}
if run.lease_s > 0 then keep_waiting(run, now) end
save_run(id, run)
redis.call('HSET', HASH, 'p:' .. id, prefix)
open[#open + 1] = id
save_list('open', open)
if key ~= '' then redis.call('HSET', HASH, 'k:' .. key, cmsgpack.pack({ id, fingerprint })) end
redis.call('EXPIRE', HASH, ttl_s)

local events = {}
if ARGV[14] then
  local head = load_head()
  follow_server(head, now)
  events = append_events(head, { ARGV[14], ARGV[15] }, keep, ttl_s)
end
return { 'OK', 1, view(id, run), events }
