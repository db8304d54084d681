package main

import "strconv"

// at is the path of a field of a list's element, as config.At wants it.
func at(list string, index int, field string) string {
	return list + "[" + strconv.Itoa(index) + "]." + field
}
