package upstream

import (
	"errors"
	"time"

	"slotgate/config"
)

// What a source's word that nothing changed is worth (conditional.use).
const (
	useAuto = "auto" // ETags, as soon as one was seen to change with what it stands for
	useETag = "etag" // ETags, from the beginning
	useHash = "hash" // none: every page is read, and known again by its hash
	useNone = "none" // every page is read and decoded
)

// Conditional is how answers are known again that have not changed. Not for the
// dialect links, whose files are always asked for so.
type Conditional struct {
	// Use is how a page is known again: auto (by its ETag, once one of the source's
	// was seen to change together with the page, and by a hash of what it says),
	// etag (from the beginning), hash (never asked for with a condition) or none
	// (always decoded); default: auto.
	Use string `yaml:"use"`
	// Modified: where there is no ETag, If-Modified-Since is sent. Only for a source
	// that tells a later Last-Modified of a search also when a slot left it;
	// default: false.
	Modified bool `yaml:"modified"`
	// Verify is after how long the source's word (304) is checked by reading the
	// whole answer; default: 1h.
	Verify config.Duration `yaml:"verify"`
	// Pages is how many pages are remembered; default: 5000.
	Pages int `yaml:"pages"`
	// Held is how many bytes of one answer are kept, undecoded, until it is clear
	// whether another of its pages changed; default: 8 MiB.
	Held int64 `yaml:"held"`
}

// SetDefaults fills in what was not given.
func (o *Conditional) SetDefaults() {
	setDefault(&o.Use, useAuto)
	setDefault(&o.Verify, config.Duration(time.Hour))
	setDefault(&o.Pages, 5000)
	setDefault(&o.Held, 8<<20)
}

// Validate tells everything that is wrong. Each message begins with the key.
func (o *Conditional) Validate() error {
	return errors.Join(
		need("use", oneOf(o.Use, useAuto, useETag, useHash, useNone), "is %q; write auto, etag, hash or none", o.Use),
		need("verify", o.Verify > 0, "is %v; write a duration such as 1h", o.Verify),
		need("pages", o.Pages >= 1 && o.Pages <= 1_000_000, "is %d; write 1 to 1000000", o.Pages),
		need("held", o.Held >= 1024 && o.Held <= 1<<30, "is %d; write bytes, 1024 to 1073741824", o.Held),
	)
}
