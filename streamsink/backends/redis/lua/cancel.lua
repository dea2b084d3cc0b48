-- ARGV: keep, ttl, correlation id or empty, the end of a cancelled run's last event
local keep, ttl_s, rest = tonumber(ARGV[1]), ARGV[2], ARGV[4]
if is_deleted() then return { 'DELETED' } end
local ids = ARGV[3] ~= '' and { ARGV[3] } or load_list('open')
local now, reached, events = now_ms(), {}, {}
for _, id in ipairs(ids) do
  local run = load_run(id)
  if not run then return { 'NOTFOUND' } end
  if run.state ~= 'done' then
    reached[#reached + 1] = id
    run.cancel = true
    if run.state == 'accepted' then
      events[#events + 1] = 'agentDone'
      events[#events + 1] = body_of(id, run.attempt, now, rest)
      close_run(id, run, 'cancelled', nil, nil)
    else
      save_run(id, run)
    end
  end
end
local placed = {}
if #events > 0 then
  local head = load_head()
  follow_server(head, now)
  placed = append_events(head, events, keep, ttl_s)
end
return { 'OK', reached, placed }
