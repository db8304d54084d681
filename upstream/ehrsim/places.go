package ehrsim

// A city gives generated places a true zone, position, postal code and area
// code; streets are ones that most American towns have.
type city struct {
	name, state, zip, area, zone string
	lat, long                    float64
}

// cities lists real ones over nine zones. Phoenix keeps standard time all year,
// Honolulu too; South Bend and Boise share an offset with a neighbour zone but
// not its name.
var cities = []city{
	{"Boston", "MA", "02118", "617", "America/New_York", 42.3388, -71.0720},
	{"Phoenix", "AZ", "85006", "602", "America/Phoenix", 33.4653, -112.0480},
	{"San Jose", "CA", "95128", "408", "America/Los_Angeles", 37.3160, -121.9330},
	{"Chicago", "IL", "60612", "312", "America/Chicago", 41.8740, -87.6690},
	{"Denver", "CO", "80218", "303", "America/Denver", 39.7330, -104.9690},
	{"Napa", "CA", "94558", "707", "America/Los_Angeles", 38.3220, -122.2970},
	{"Ann Arbor", "MI", "48104", "734", "America/Detroit", 42.2700, -83.7280},
	{"Tucson", "AZ", "85719", "520", "America/Phoenix", 32.2410, -110.9440},
	{"Austin", "TX", "78705", "512", "America/Chicago", 30.2950, -97.7390},
	{"Boise", "ID", "83702", "208", "America/Boise", 43.6260, -116.2020},
	{"Durham", "NC", "27705", "919", "America/New_York", 36.0110, -78.9350},
	{"Honolulu", "HI", "96813", "808", "Pacific/Honolulu", 21.3070, -157.8530},
	{"South Bend", "IN", "46601", "574", "America/Indiana/Indianapolis", 41.6760, -86.2510},
	{"Anchorage", "AK", "99508", "907", "America/Anchorage", 61.2040, -149.8080},
	{"Seattle", "WA", "98104", "206", "America/Los_Angeles", 47.6040, -122.3240},
	{"Minneapolis", "MN", "55415", "612", "America/Chicago", 44.9730, -93.2620},
	{"Salt Lake City", "UT", "84102", "801", "America/Denver", 40.7600, -111.8620},
	{"Rochester", "NY", "14620", "585", "America/New_York", 43.1300, -77.6050},
	{"Portland", "OR", "97210", "503", "America/Los_Angeles", 45.5280, -122.6990},
	{"Nashville", "TN", "37203", "615", "America/Chicago", 36.1500, -86.7980},
}

// streets and buildings make an address line.
var (
	streets = []string{
		"Main St", "Medical Center Dr", "Washington St", "Park Ave", "Oak St", "Elm St", "Lincoln Ave",
		"Maple Ave", "Highland Ave", "Hospital Rd", "Cedar St", "College Ave", "Church St", "Mission Blvd",
	}
	suites = []string{"", "Suite 100", "Suite 210", "Suite 300", "Floor 2", "Building B"}
	sites  = []string{"Main Campus", "North Clinic", "Medical Plaza", "Downtown Office", "Lakeside Clinic", "East Clinic", "Professional Building", "Health Center"}
	groups = []string{"Medical Group", "Family Care", "Physician Associates", "Specialty Clinics", "Community Health", "Health Partners", "Clinic"}
)

// citiesOf are the cities of one zone, or all. A zone without one borrows all.
func citiesOf(zone string) []city {
	if zone == "" {
		return cities
	}
	var out []city
	for _, c := range cities {
		if c.zone == zone {
			out = append(out, c)
		}
	}
	if len(out) > 0 {
		return out
	}
	for _, c := range cities {
		c.zone = zone
		out = append(out, c)
	}
	return out
}
