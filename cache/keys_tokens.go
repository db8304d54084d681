package cache

// The keys of our login at one source.
//
//	token     HASH    e our token (sealed), d a keyed digest of it; with the token's lifetime
//	login     STRING  token of the node that asks for one, with a lifetime
//	refused   STRING  there for a while after the source refused a token
//	endpoint  STRING  base of the source and origin of its token endpoint, as first found (sealed)
func (k sourceKeys) token() string    { return k.tag + "token" }
func (k sourceKeys) login() string    { return k.tag + "login" }
func (k sourceKeys) refused() string  { return k.tag + "refused" }
func (k sourceKeys) endpoint() string { return k.tag + "endpoint" }
