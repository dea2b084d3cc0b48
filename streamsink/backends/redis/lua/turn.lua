-- ARGV: correlation id
-- Answers whether it is its turn, and within how many ms somebody has to look again; 0: that does not matter.
local id = ARGV[1]
if is_deleted() then return { 'DELETED' } end
local run = load_run(id)
if not run then return { 'NOTFOUND' } end
-- Not at each look: they are as many as there are events.
local now = now_ms()
if run.state == 'accepted' and run.kept_until and run.kept_until - now < run.lease_s * 800 then
  keep_waiting(run, now)
  save_run(id, run)
end
return { 'OK', (run.state == 'done' or is_turn(id, run)) and 1 or 0, run.lease_s * 1000 }
