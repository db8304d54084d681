package cache

// The keys of the coverage that one principal gave. No name, number or date
// stands in them, nor in what is not sealed.
//
//	coverage:<id>         STRING  a Coverage (sealed), with a lifetime
//	coverages:<patient>   ZSET    the Coverages of a patient of ours -> when they were given (ms since 1970)
//	samecover:<digest>    STRING  the Coverage that is this resource
//	coverlinks:<id>       HASH    source -> the Coverage there (sealed), with a lifetime
func (k principalKeys) coverage(id string) string       { return k.tag + "coverage:" + id }
func (k principalKeys) coverages(patient string) string { return k.tag + "coverages:" + patient }
func (k principalKeys) sameCover(digest string) string  { return k.tag + "samecover:" + digest }
func (k principalKeys) coverLinks(id string) string     { return k.tag + "coverlinks:" + id }
