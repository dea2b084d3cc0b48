-- ARGV: correlation id
local run = load_run(ARGV[1])
return { 'OK', run and view(ARGV[1], run) or {} }
