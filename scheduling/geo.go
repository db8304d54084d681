package scheduling

import "math"

// Position is a point on the earth in degrees (WGS 84).
type Position struct {
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
}

// Valid tells whether the position exists.
func (p Position) Valid() bool {
	return math.Abs(p.Latitude) <= 90 && math.Abs(p.Longitude) <= 180
}

// earthRadius is the mean radius in metres (IUGG).
const earthRadius = 6_371_008.8

// Metres is the great-circle distance between two points (haversine).
func (p Position) Metres(q Position) float64 {
	rad := math.Pi / 180
	dLat := (q.Latitude - p.Latitude) * rad / 2
	dLon := (q.Longitude - p.Longitude) * rad / 2
	a := math.Sin(dLat)*math.Sin(dLat) +
		math.Cos(p.Latitude*rad)*math.Cos(q.Latitude*rad)*math.Sin(dLon)*math.Sin(dLon)
	return 2 * earthRadius * math.Asin(math.Min(1, math.Sqrt(a)))
}

// Near asks for places within a distance of a point.
type Near struct {
	Position
	Metres float64
}
