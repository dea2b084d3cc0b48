-- ARGV: keep, ttl, the place of the one to be replaced or empty, the new one's place, its parts
local f = redis.call('HMGET', HASH, 'x', 's', 'sn')
if f[1] then return { 'DELETED' } end
if (f[2] or '') ~= ARGV[3] then return { 'OK', 0 } end
local count = #ARGV - 4
for i = count + 1, tonumber(f[3] or 0) do redis.call('HDEL', HASH, 's:' .. i) end
redis.call('HSET', HASH, 's', ARGV[4], 'sn', count)
for i = 1, count do redis.call('HSET', HASH, 's:' .. i, ARGV[i + 4]) end
redis.call('EXPIRE', HASH, ARGV[2])
trim(tonumber(ARGV[1]))
return { 'OK', 1 }
