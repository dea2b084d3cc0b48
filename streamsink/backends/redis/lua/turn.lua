-- ARGV: correlation id
local id = ARGV[1]
if is_deleted() then return { 'DELETED' } end
local run = load_run(id)
if not run then return { 'NOTFOUND' } end
return { 'OK', (run.state == 'done' or is_turn(id, run)) and 1 or 0 }
