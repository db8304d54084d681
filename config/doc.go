// Package config reads Slotgate's one YAML file, strictly.
//
// It knows no section of the file. Every package owns its Options struct, its defaults and its checks; cmd composes
// those structs into one, and hands a pointer to it to [Load]:
//
//	type File struct {
//		Listen  string
//		Redis   cache.Options
//		Sources []Source
//	}
//
// # Keys
//
// A field is read from the key that its `yaml:"name"` tag says, else from its own name in snake case (PublicURL is
// public_url). `yaml:"-"` hides a field; `yaml:",inline"`, and embedding without a tag, lift the keys of a struct into
// the one around it. A key that no field has is an error, as is a key written twice, a value of another type, a second
// document and a value left empty.
//
// # Values
//
// Besides the plain kinds, slices, string-keyed maps and pointers, the package reads: [time.Duration] and [Duration]
// ("90s", "60d", "2w"), [time.Location] pointers and [Zone] (IANA names), [Secret] (from `key` or from the file that
// `key_file` names), [Path] (relative to the folder of the file that names it) and whatever implements
// encoding.TextUnmarshaler. So a package that must not import this one still has durations and zones in its Options.
//
// ${NAME} in a value, not in a key, is replaced by that environment variable; a variable that is not set is an error;
// $${ stands for ${ itself. The replacement happens after the file was parsed: no value can add structure.
//
// # Defaults
//
// SetDefaults ([Defaulter]) runs on every section, inner ones first, before any of its keys is read, and so does it for
// each element of a list or map at the moment the element comes into being. Hence what the user writes wins always,
// a zero or `false` as well, and what the user leaves out has its default. A list that is written replaces the default
// list whole.
//
// # Checks and errors
//
// After reading, Validate ([Validator]) runs on every section, inner ones first. Everything that is wrong is told in one
// line, `file:line: what, and what to do`, for a person with an editor open. Errors hold no secret and no text that came
// from the environment.
package config
