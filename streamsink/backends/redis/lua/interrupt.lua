-- ARGV: keep, ttl, correlation id, attempt
local id = ARGV[3]
if is_deleted() then return { 'DELETED' } end
local run = load_run(id)
if not run then return { 'NOTFOUND' } end
if run.state ~= 'executing' or run.attempt ~= tonumber(ARGV[4]) then return { 'OK', {} } end
local now, head = now_ms(), load_head()
follow_server(head, now)
run.state, run.deadline = 'interrupted', now + run.redelivery_s * 1000
save_run(id, run)
local event = { 'agentInterrupted', body_of(id, run.attempt, now, '}') }
return { 'OK', append_events(head, event, tonumber(ARGV[1]), ARGV[2]) }
