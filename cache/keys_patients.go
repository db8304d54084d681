package cache

// The keys of the patients of one principal. No name, number or date stands in
// them, nor in what is not sealed.
//
//	person:<id>     STRING  a registered person (sealed), with a lifetime
//	same:<digest>   STRING  the person who has this identifier, or is this resource
//	term:<digest>   ZSET    who is found by a search term -> until when (ms since 1970)
//	links:<id>      HASH    source -> the person's Patient there (sealed), with a lifetime
func (k principalKeys) person(id string) string   { return k.tag + "person:" + id }
func (k principalKeys) same(digest string) string { return k.tag + "same:" + digest }
func (k principalKeys) term(digest string) string { return k.tag + "term:" + digest }
func (k principalKeys) links(id string) string    { return k.tag + "links:" + id }

// register is the key of a source that keeps others from registering the same
// person there meanwhile.
//
//	register:<digest>  STRING  token of who registers, with a lifetime
func (k sourceKeys) register(digest string) string { return k.tag + "register:" + digest }

// The keys of those whom we made at a source, and who have no appointment.
//
//	orphans       HASH  our identifier on the Patient -> version, a colon, the record (sealed)
//	orphanplaces  HASH  digest of the Patient's id at the source -> our identifier
//
// And of all sources, since one may be taken out of the config:
//
//	<prefix>:orphansources  SET  ids of the sources that had some
func (k keys) orphanSources() string      { return k.prefix + ":orphansources" }
func (k sourceKeys) orphans() string      { return k.tag + "orphans" }
func (k sourceKeys) orphanPlaces() string { return k.tag + "orphanplaces" }
