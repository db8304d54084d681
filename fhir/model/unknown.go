package model

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Without gives the unknown elements of a resource but for those that a release
// does not have.
func Without(unknown jsontext.Value, names ...string) jsontext.Value {
	if len(unknown) == 0 {
		return nil
	}
	var all map[string]jsontext.Value
	if json.Unmarshal(unknown, &all) != nil {
		return unknown
	}
	for _, name := range names {
		delete(all, name)
		delete(all, "_"+name)
	}
	if len(all) == 0 {
		return nil
	}
	rest, err := json.Marshal(all, json.Deterministic(true))
	if err != nil {
		return unknown
	}
	return rest
}
