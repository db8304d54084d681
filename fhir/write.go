package fhir

import (
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// Write writes a resource, strictly: ids, required elements, codes and instants
// are checked first. In JSON the type comes first, and there are no nulls and
// no empty lists.
//
// Errors: scheduling.Internal, since a resource of ours that is wrong is our
// fault, whoever asked for it.
func Write(rel scheduling.Release, f Format, res model.Resource) ([]byte, error) {
	data, _, err := WriteCounting(rel, f, res)
	return data, err
}

// WriteCounting is Write, and tells how many elements could not be written in
// XML since this version does not know them. JSON loses none.
func WriteCounting(rel scheduling.Release, f Format, res model.Resource) (data []byte, dropped int, err error) {
	if err := Check(rel, res); err != nil {
		return nil, 0, scheduling.Fault(scheduling.Internal, err, "the answer could not be written")
	}
	data, err = codecOf(rel).encode(res)
	if err != nil {
		return nil, 0, scheduling.Fault(scheduling.Internal, err, "the answer could not be written")
	}
	if f == JSON {
		return data, 0, nil
	}
	return ToXML(rel, data)
}

// ToXML turns one of our own answers in JSON into XML. dropped counts what the
// version has no place for.
func ToXML(rel scheduling.Release, data []byte) (out []byte, dropped int, err error) {
	out, dropped, err = tableOf(rel).ToXML(data)
	if err != nil {
		return nil, 0, scheduling.Fault(scheduling.Internal, err, "the answer could not be written as XML")
	}
	return out, dropped, nil
}
