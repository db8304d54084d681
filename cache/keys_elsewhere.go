package cache

// The keys of what one principal has seen of appointments that were not made
// through us.
//
//	elsewhere:<id>  STRING  what the id leads to: ids (sealed), with a lifetime
//	undoing:<id>    STRING  1 while a cancel of it is, or may be, under way; with a lifetime
func (k principalKeys) elsewhere(id string) string { return k.tag + "elsewhere:" + id }
func (k principalKeys) undoing(id string) string   { return k.tag + "undoing:" + id }
