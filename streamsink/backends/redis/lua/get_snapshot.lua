-- Answers its place and its parts, or nothing.
local f = redis.call('HMGET', HASH, 'x', 's', 'sn')
if f[1] then return { 'DELETED' } end
if not f[2] then return { 'OK' } end
local answer = { 'OK', f[2] }
for i = 1, tonumber(f[3]) do answer[i + 2] = redis.call('HGET', HASH, 's:' .. i) end
return answer
