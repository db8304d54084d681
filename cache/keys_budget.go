package cache

// The keys of what may be asked of a source, by all nodes together.
//
//	budget          HASH    tokens, filled: calls that the rate allows, and when that was so;
//	                        share, grown: of the limits, since the source was found overloaded, likewise;
//	                        until: end of the pause that it asked for; day, spent: calls of that day;
//	                        born: when this record was begun; lost: 1 where there was one before; passed: calls that
//	                        went before each lane (times in ms since 1970)
//	budgeted        HASH    node -> when it told, rate, places, calls under way (urgent, others), spare tokens,
//	                        calls that wait and since when, by lane, number of what it told
func (k sourceKeys) budget() string   { return k.tag + "budget" }
func (k sourceKeys) budgeted() string { return k.tag + "budgeted" }
