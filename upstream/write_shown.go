package upstream

import (
	"bytes"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// shown is the answer to a write that may show resources of one type: itself, or
// within a Bundle.
type shown[R model.Resource] struct {
	reply
	found []R
}

func (s *shown[R]) read(release scheduling.Release, f fhir.Format, body []byte) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	res, err := fhir.Read(release, f, body)
	if err != nil {
		return err //nolint:wrapcheck // judged by the stack
	}
	if bundle, ok := res.(*model.Bundle); ok {
		for i := range bundle.Entry {
			s.keep(bundle.Entry[i].Resource)
		}
		return nil
	}
	if !s.keep(res) {
		return errUnknownReply
	}
	return nil
}

// keep takes a resource of the type, or what every reply takes.
func (s *shown[R]) keep(res model.Resource) bool {
	if one, ok := res.(R); ok {
		s.found = append(s.found, one)
		return true
	}
	return res != nil && s.take(res)
}
