package main

import (
	"slotgate/cache/vault"
	"slotgate/config"
	"slotgate/scheduling"
	"slotgate/upstream/token"
)

// openLogins makes the vault in which all nodes share their tokens. Without one
// each process logs in by itself, as in the demo, where no other could open it.
func (n *node) openLogins(f *file) (err error) {
	if f.trial || !f.Vault.Configured() {
		n.log.Debug("tokens of sources are not shared: there are no vault.keys")
		return nil
	}
	n.logins, err = vault.Open(f.Vault)
	return err
}

// tokens is where the login at a source is shared; nil: nowhere.
func (n *node) tokens(source scheduling.SourceID) token.Store {
	if n.logins == nil {
		return nil // a typed nil would be a store
	}
	return n.store.Tokens(n.logins, source)
}

// keySet is the document of our public keys; nil where no source needs one.
func (f *file) keySet() ([]byte, error) { return token.PublicKeys(f.auths()...) }

func (f *file) auths() []token.Options {
	all := make([]token.Options, len(f.Sources))
	for i, o := range f.Sources {
		all[i] = o.Auth
	}
	return all
}

// checkKeys refuses two keys of one name: an EHR would take one for the other.
func (f *file) checkKeys() error {
	all := f.auths()
	for i := range all {
		if _, err := token.PublicKeys(all[:i+1]...); err != nil {
			return config.At(at("sources", i, "auth.kid"), "%v", err)
		}
	}
	return nil
}
