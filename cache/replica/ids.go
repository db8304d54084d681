package replica

import (
	"hash/maphash"
	"slices"
)

// Ids are found through a hash table that is never changed but copied where it
// must differ: buckets hang on small nodes, nodes on one list. A bucket holds
// part of the hash and the number of the schedule; whoever asks then looks into
// that schedule's book, so a clash of hashes costs a look and no wrong answer.

const (
	bucketFill = 32 // ids a bucket holds on average after growing
	nodeWidth  = 16 // buckets a node holds
)

// idIndex leads from an id of ours to the schedules that may hold it.
type idIndex struct {
	seed  maphash.Seed
	nodes []*idNode
	count int
}

type (
	idNode   [nodeWidth]idBucket
	idBucket []idPlace
	idPlace  struct {
		hash     uint32
		schedule int32
	}
)

// idEdit adds or removes one occurrence of an id.
type idEdit struct {
	place  idPlace
	remove bool
}

func newIDIndex(expected int) *idIndex {
	nodes := 1
	for nodes*nodeWidth*bucketFill < expected {
		nodes *= 2
	}
	x := &idIndex{seed: maphash.MakeSeed(), nodes: make([]*idNode, nodes)}
	for i := range x.nodes {
		x.nodes[i] = &idNode{}
	}
	return x
}

func (x *idIndex) hash(id string) uint32 { return uint32(maphash.String(x.seed, id)) }

func (x *idIndex) bucketOf(hash uint32) (node, bucket int) {
	n := int(hash) & (len(x.nodes)*nodeWidth - 1)
	return n / nodeWidth, n % nodeWidth
}

// schedules calls yield for each schedule that may hold the id, until it says
// stop.
func (x *idIndex) schedules(id string, yield func(schedule int32) bool) {
	hash := x.hash(id)
	node, bucket := x.bucketOf(hash)
	for _, place := range x.nodes[node][bucket] {
		if place.hash == hash && !yield(place.schedule) {
			return
		}
	}
}

// with is the index after the edits. Clashes are the hashes among those that
// were added which stand in it more than once.
func (x *idIndex) with(edits []idEdit) (next *idIndex, clashes map[uint32]bool) {
	if len(edits) == 0 {
		return x, nil
	}
	clashes = map[uint32]bool{}
	next = x.grown(len(edits))
	width := len(next.nodes)*nodeWidth - 1
	slices.SortFunc(edits, func(a, b idEdit) int {
		if d := int(a.place.hash)&width - int(b.place.hash)&width; d != 0 || a.remove == b.remove {
			return d
		}
		if b.remove {
			return -1 // what one edit removes, another may have to add first
		}
		return 1
	})
	for _, edit := range edits {
		if edit.remove {
			next.count--
		} else {
			next.count++
		}
	}
	owned := -1 // the edits come node by node: copy each once
	for len(edits) > 0 {
		node, bucket := next.bucketOf(edits[0].place.hash)
		if node != owned {
			copied := *next.nodes[node]
			next.nodes[node], owned = &copied, node
		}
		n := 1
		for n < len(edits) && int(edits[n].place.hash)&width == node*nodeWidth+bucket {
			n++
		}
		next.nodes[node][bucket] = next.nodes[node][bucket].with(edits[:n])
		next.nodes[node][bucket].clashing(edits[:n], clashes)
		edits = edits[n:]
	}
	return next, clashes
}

// clashing notes which added hashes the bucket has more than once.
func (b idBucket) clashing(edits []idEdit, clashes map[uint32]bool) {
	for _, edit := range edits {
		if edit.remove {
			continue
		}
		times := 0
		for _, place := range b {
			if place.hash == edit.place.hash {
				times++
			}
		}
		if times > 1 {
			clashes[edit.place.hash] = true
		}
	}
}

// with is a bucket after the edits, without spare room.
func (b idBucket) with(edits []idEdit) idBucket {
	next := make(idBucket, len(b), len(b)+len(edits))
	copy(next, b)
	for _, edit := range edits {
		if !edit.remove {
			next = append(next, edit.place)
			continue
		}
		if at := slices.Index(next, edit.place); at >= 0 {
			next[at] = next[len(next)-1]
			next = next[:len(next)-1]
		}
	}
	if cap(next)-len(next) > bucketFill/4 {
		next = slices.Clip(slices.Clone(next))
	}
	return next
}

// grown is a copy with its own list of nodes and room for more ids.
func (x *idIndex) grown(more int) *idIndex {
	next := &idIndex{seed: x.seed, count: x.count}
	if x.count+more <= len(x.nodes)*nodeWidth*bucketFill*2 {
		next.nodes = slices.Clone(x.nodes)
		return next
	}
	bigger := newIDIndex(x.count + more)
	next.nodes = bigger.nodes
	for _, node := range x.nodes {
		for _, bucket := range node {
			for _, place := range bucket {
				n, b := next.bucketOf(place.hash)
				next.nodes[n][b] = append(next.nodes[n][b], place)
			}
		}
	}
	return next
}
