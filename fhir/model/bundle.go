package model

// Bundle is a container of resources: an answer to a search, a batch, or a
// transaction. Total counts the matches of a search over all pages.
type Bundle struct {
	Base
	Identifier *Identifier   `json:"identifier,omitempty"`
	Type       string        `json:"type,omitempty"`
	Timestamp  string        `json:"timestamp,omitempty"` // R4
	Total      *int          `json:"total,omitempty"`
	Link       []BundleLink  `json:"link,omitempty"`
	Entry      []BundleEntry `json:"entry,omitempty"`
}

// ResourceType is "Bundle".
func (*Bundle) ResourceType() string { return "Bundle" }

// BundleLink is a link of a bundle or an entry, such as self or next.
type BundleLink struct {
	Element
	Relation string `json:"relation,omitempty"`
	URL      string `json:"url,omitempty"`
}

// BundleEntry is one resource of a bundle and what is said of it.
type BundleEntry struct {
	Element
	Link     []BundleLink    `json:"link,omitempty"`
	FullURL  string          `json:"fullUrl,omitempty"`
	Resource Resource        `json:"resource,omitempty"`
	Search   *BundleSearch   `json:"search,omitempty"`
	Request  *BundleRequest  `json:"request,omitempty"`
	Response *BundleResponse `json:"response,omitempty"`
}

// BundleSearch tells why an entry is in a search set: match, include, outcome.
type BundleSearch struct {
	Element
	Mode  string  `json:"mode,omitempty"`
	Score Decimal `json:"score,omitempty"`
}

// BundleRequest is what a batch or transaction asks for an entry.
type BundleRequest struct {
	Element
	Method          string `json:"method,omitempty"`
	URL             string `json:"url,omitempty"`
	IfNoneMatch     string `json:"ifNoneMatch,omitempty"`
	IfModifiedSince string `json:"ifModifiedSince,omitempty"`
	IfMatch         string `json:"ifMatch,omitempty"`
	IfNoneExist     string `json:"ifNoneExist,omitempty"`
}

// BundleResponse is what became of a batch or transaction entry.
type BundleResponse struct {
	Element
	Status       string   `json:"status,omitempty"`
	Location     string   `json:"location,omitempty"`
	Etag         string   `json:"etag,omitempty"`
	LastModified string   `json:"lastModified,omitempty"`
	Outcome      Resource `json:"outcome,omitempty"`
}

// LinkURL gives the address of the link with a relation, or "".
func (b *Bundle) LinkURL(relation string) string {
	for _, l := range b.Link {
		if l.Relation == relation {
			return l.URL
		}
	}
	return ""
}
