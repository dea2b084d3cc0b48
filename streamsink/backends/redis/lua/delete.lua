-- KEYS: 4 owner, 5 documents. ARGV: how long the tombstone stays
redis.call('DEL', STREAM, HASH, KEYS[4], KEYS[5])
redis.call('HSET', HASH, 'x', '1')
redis.call('EXPIRE', HASH, ARGV[1])
redis.call('SPUBLISH', CHANNEL, 'deleted')
return { 'OK' }
