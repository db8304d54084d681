package cache

import (
	"encoding/json"
	"maps"
	"strings"

	"slotgate/scheduling"
)

// Records of the directory are named kind/id, as FHIR names them.
func recordName(kind scheduling.Kind, id string) string { return string(kind) + "/" + id }

// encodeDirectory is every record by its name. Equal records give equal texts:
// none of them holds a map.
func encodeDirectory(dir scheduling.Directory) (map[string]string, error) {
	all := make(map[string]string, dir.Len())
	for _, err := range []error{
		encodeRecords(all, scheduling.KindPractitioner, dir.Practitioners),
		encodeRecords(all, scheduling.KindRole, dir.Roles),
		encodeRecords(all, scheduling.KindLocation, dir.Locations),
		encodeRecords(all, scheduling.KindOrganization, dir.Organizations),
		encodeRecords(all, scheduling.KindService, dir.Services),
		encodeRecords(all, scheduling.KindSchedule, dir.Schedules),
	} {
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

func encodeRecords[T any](all map[string]string, kind scheduling.Kind, records map[string]*T) error {
	for id, record := range records {
		if record == nil {
			continue
		}
		text, err := json.Marshal(record)
		if err != nil {
			return err
		}
		all[recordName(kind, id)] = string(text)
	}
	return nil
}

// putRecord puts a record into the directory, or takes it away when the text is
// empty. It is false for a record that cannot be read.
func putRecord(dir scheduling.Directory, name, text string) bool {
	kind, id, ok := strings.Cut(name, "/")
	if !ok {
		return false
	}
	switch scheduling.Kind(kind) {
	case scheduling.KindPractitioner:
		return putInto(dir.Practitioners, id, text)
	case scheduling.KindRole:
		return putInto(dir.Roles, id, text)
	case scheduling.KindLocation:
		return putInto(dir.Locations, id, text)
	case scheduling.KindOrganization:
		return putInto(dir.Organizations, id, text)
	case scheduling.KindService:
		return putInto(dir.Services, id, text)
	case scheduling.KindSchedule:
		return putInto(dir.Schedules, id, text)
	default:
		return false
	}
}

func putInto[T any](records map[string]*T, id, text string) bool {
	if text == "" {
		delete(records, id)
		return true
	}
	record := new(T)
	if err := json.Unmarshal([]byte(text), record); err != nil {
		return false
	}
	records[id] = record
	return true
}

// cloneDirectory shares the records and not the maps.
func cloneDirectory(d scheduling.Directory) scheduling.Directory {
	return scheduling.Directory{
		Practitioners: maps.Clone(d.Practitioners), Roles: maps.Clone(d.Roles),
		Locations: maps.Clone(d.Locations), Organizations: maps.Clone(d.Organizations),
		Services: maps.Clone(d.Services), Schedules: maps.Clone(d.Schedules),
	}
}
