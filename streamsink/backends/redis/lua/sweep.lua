-- ARGV: keep, ttl, the ends of the last events of a run that: waited too long, lost its producer
-- Answers the earliest deadline of what stays open, or -1, and what was appended.
local waited, lost = { 'queue_timeout', ARGV[3] }, { 'producer_lost', ARGV[4] }
if is_deleted() then return { 'OK', -1, {} } end
local now, events, next_deadline = now_ms(), {}, -1
for _, id in ipairs(load_list('open')) do
  local run = load_run(id)
  if ends_at(run) <= now then
    if run.state == 'executing' and run.redelivery_s > 0 then
      run.state, run.deadline = 'interrupted', now + run.redelivery_s * 1000
      save_run(id, run)
      events[#events + 1] = 'agentInterrupted'
      events[#events + 1] = body_of(id, run.attempt, now, '}')
    else
      local ending = run.state == 'accepted' and run.deadline <= now and waited or lost
      events[#events + 1] = 'agentDone'
      events[#events + 1] = body_of(id, run.attempt, now, ending[2])
      close_run(id, run, 'failed', ending[1], nil)
    end
  end
  if run.state ~= 'done' and (next_deadline < 0 or ends_at(run) < next_deadline) then next_deadline = ends_at(run) end
end
local placed = {}
if #events > 0 then
  local head = load_head()
  follow_server(head, now)
  placed = append_events(head, events, tonumber(ARGV[1]), ARGV[2])
end
return { 'OK', next_deadline, placed }
