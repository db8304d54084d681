package cache

import "github.com/redis/go-redis/v9"

// ClientOf lets tests look at what a store sends.
func ClientOf(s *Store) redis.UniversalClient { return s.client }
