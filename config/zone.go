package config

import (
	"fmt"
	"strings"
	"time"
)

// Zone is an IANA time zone, loaded. Its zero value is no zone at all: IsZero tells, and Location is nil then.
type Zone struct{ *time.Location }

// LoadZone finds an IANA zone by its name. It refuses what time.LoadLocation lets pass and no place is in: the empty
// name and "Local" (the server's zone), and abbreviations such as EST, which know no daylight saving time.
func LoadZone(name string) (Zone, error) {
	if name != "UTC" && !strings.Contains(name, "/") {
		return Zone{}, errZone(name)
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return Zone{}, errZone(name)
	}
	return Zone{loc}, nil
}

func errZone(name string) error {
	if len(name) > 40 {
		name = name[:40]
	}
	return fmt.Errorf("unknown zone %q; write an IANA name such as America/Los_Angeles or UTC", name)
}

// IsZero tells that no zone was given.
func (z Zone) IsZero() bool { return z.Location == nil }

// String is the IANA name, or nothing for the zero value.
func (z Zone) String() string {
	if z.IsZero() {
		return ""
	}
	return z.Location.String()
}

// MarshalText writes the IANA name.
func (z Zone) MarshalText() ([]byte, error) { return []byte(z.String()), nil }

// UnmarshalText reads an IANA name as [LoadZone] does.
func (z *Zone) UnmarshalText(text []byte) error {
	v, err := LoadZone(string(text))
	if err != nil {
		return err
	}
	*z = v
	return nil
}
