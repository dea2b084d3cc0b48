-- ARGV: after (<epoch>-<seq>, or empty), limit, max bytes
-- Answers head epoch and seq (-1: none), gone, more, events.
local after, limit, max_bytes = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local PAGE = math.min(64, limit)
local f = redis.call('HMGET', HASH, 'x', 'e', 'q', 'tr')
if f[1] then return { 'OK', -1, -1, after ~= '' and 1 or 0, 0, {} } end
local head_epoch, head_seq = f[2] or '-1', f[3] or '-1'

local gone = after ~= '' and after ~= head_epoch .. '-' .. head_seq and after ~= f[4]
  and #redis.call('XRANGE', STREAM, after, after) == 0
local from = (after == '' or gone) and '-' or '(' .. after
local events, size, more = {}, 0, false
repeat
  local page = PAGE > 0 and redis.call('XRANGE', STREAM, from, '+', 'COUNT', PAGE) or {}
  for _, entry in ipairs(page) do
    local epoch, seq = string.match(entry[1], '(%d+)-(%d+)')
    local target, json = entry[2][2], entry[2][4]
    size = size + #json
    more = #events / 4 >= limit or (size > max_bytes and #events > 0)
    if more then break end
    local n = #events
    events[n + 1], events[n + 2], events[n + 3], events[n + 4] = epoch, seq, target, json
    from = '(' .. entry[1]
  end
until more or PAGE == 0 or #page < PAGE
return { 'OK', tonumber(head_epoch), tonumber(head_seq), gone and 1 or 0, more and 1 or 0, events }
