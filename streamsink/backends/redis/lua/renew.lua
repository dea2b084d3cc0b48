-- ARGV: ttl, correlation id, attempt, lease
local id = ARGV[2]
if is_deleted() then return { 'DELETED' } end
local run = load_run(id)
if not run then return { 'NOTFOUND' } end
if run.state == 'done' then return { 'CLOSED' } end
if tonumber(ARGV[3]) ~= run.attempt or run.state ~= 'executing' then return { 'STALE' } end
lease(run, tonumber(ARGV[4]), now_ms())
save_run(id, run)
redis.call('EXPIRE', STREAM, ARGV[1])
redis.call('EXPIRE', HASH, ARGV[1])
return { 'OK', run.cancel and 1 or 0 }
