-- ARGV: ttl, correlation id, lease, the name of this very call
local id, call = ARGV[2], ARGV[4]
if is_deleted() then return { 'DELETED' } end
local run = load_run(id)
if not run then return { 'NOTFOUND' } end
if run.state ~= 'done' and not (run.state == 'executing' and run.call == call) then
  if not is_turn(id, run) then return { 'TURN' } end
  run.state, run.attempt, run.call, run.kept_until = 'executing', run.attempt + 1, call, nil
  lease(run, tonumber(ARGV[3]), now_ms())
  save_run(id, run)
  redis.call('EXPIRE', HASH, ARGV[1])
end
return { 'OK', run.attempt, run.cancel and 1 or 0, terminal_of(id, run) }
