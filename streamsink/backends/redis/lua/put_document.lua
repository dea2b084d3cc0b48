-- KEYS: 4 documents. ARGV: ttl, name, document
if is_deleted() then return { 'DELETED' } end
redis.call('HSET', KEYS[4], ARGV[2], ARGV[3])
redis.call('EXPIRE', KEYS[4], ARGV[1])
return { 'OK' }
