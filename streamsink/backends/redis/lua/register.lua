-- KEYS: 4 owner. ARGV: owner, ttl
if is_deleted() then return { 'DELETED' } end
local owner = redis.call('GET', KEYS[4])
if owner and owner ~= ARGV[1] then return { 'CONFLICT' } end
redis.call('SET', KEYS[4], ARGV[1], 'EX', ARGV[2])
return { 'OK' }
