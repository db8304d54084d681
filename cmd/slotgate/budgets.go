package main

import (
	"slotgate/scheduling"
	"slotgate/upstream"
)

// budget is where all nodes share what may be asked of a source.
func (n *node) budget(source scheduling.SourceID) upstream.SharedBudget {
	return n.store.Budget(n.life, source)
}
