-- ARGV: keep, ttl, correlation id, attempt, first n, seen epoch, seen seq, status, code, has response, response; events
local keep, ttl_s, id = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local attempt, first_n = tonumber(ARGV[4]), tonumber(ARGV[5])
local seen_epoch, seen_seq, status = tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8]
local count = (#ARGV - 11) / 2

local f = redis.call('HMGET', HASH, 'x', 'e', 'q', 'g', 'r:' .. id)
if f[1] then return { 'DELETED' } end
local head = { e = tonumber(f[2] or nil), q = tonumber(f[3] or nil), g = f[4] }
local now = now_ms()

local has_moved = follow_server(head, now)
if seen_epoch then
  if is_before(head, seen_epoch, seen_seq) then
    open_epoch(head, math.max(now, seen_epoch + 1))
    has_moved = true
  end
  if head.e ~= seen_epoch then
    if has_moved then save_head(head) end
    return { 'EPOCH', head.e }
  end
end

local run = f[5] and cmsgpack.unpack(f[5])
if not run then return { 'NOTFOUND' } end
local last = run.last
if last and last[1] == attempt and last[2] == first_n and last[3] == count then
  if head.e ~= last[4] then
    if has_moved then save_head(head) end
    return { 'EPOCH', head.e }
  end
  return { 'OK', last[4], last[5], run.cancel and 1 or 0, 1 }
end

if run.state == 'done' then return { 'CLOSED' } end
if attempt ~= run.attempt or run.state ~= 'executing' then return { 'STALE' } end
local next_n = (last and last[1] == attempt) and last[2] + last[3] or 1
if first_n ~= next_n then return { 'ORDER', next_n } end

local first_seq = head.q + 1
run.last = { attempt, first_n, count, head.e, first_seq }
lease(run, run.lease_s, now)
if status ~= '' then
  close_run(id, run, status, ARGV[9] ~= '' and ARGV[9] or nil, ARGV[10] == '1' and ARGV[11] or nil)
end
append(head, ARGV, 12, keep, ttl_s, 'r:' .. id, cmsgpack.pack(run))
return { 'OK', head.e, first_seq, run.cancel and 1 or 0, 0 }
