package scheduling

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// SharesIdentifier tells whether both carry one same identifier, however its
// system is written.
func (r Registration) SharesIdentifier(with []PersonIdentifier) bool {
	return r.SharesWith(Registration{Identifiers: with})
}

// Contradicts tells whether what an EHR shows of a Patient cannot be said of
// this person: another birth date, another gender, no family name or no given
// name in common, or another value of one system, whatever else they share: twins
// share a birth date, a family name and the number of their insurance. What one
// of them does not tell contradicts nothing.
func (r Registration) Contradicts(p NativePatient) bool {
	return !sameDate(r.BirthDate, p.BirthDate) ||
		told(r.Gender) && told(p.Gender) && r.Gender != p.Gender ||
		anotherValue(r.Naming(), Registration{Identifiers: p.Identifiers}.Naming()) ||
		otherNames(r.Names, p.Names)
}

// Vouches tells whether what an EHR shows says anything of who the Patient is
// that could be compared with this person.
func (r Registration) Vouches(p NativePatient) bool {
	named := func(n PersonName) bool { return len(familyWords(n)) > 0 || len(givenWords(n)) > 0 }
	return r.SharesIdentifier(p.Identifiers) || slices.ContainsFunc(p.Names, named)
}

// otherNames: both tell names, and no family name, or no given name, is the same.
func otherNames(mine, theirs []PersonName) bool {
	return unlike(mine, theirs, familyWords, sameFamily) || unlike(mine, theirs, givenWords, sameGiven)
}

func unlike(mine, theirs []PersonName, words func(PersonName) []string, same func(a, b []string) bool) bool {
	told := false
	for _, a := range mine {
		for _, b := range theirs {
			if one, other := words(a), words(b); len(one) > 0 && len(other) > 0 {
				if told = true; same(one, other) {
					return false
				}
			}
		}
	}
	return told
}

// familyWords are those of the family name; of a name that is told as text alone
// they are all there are.
func familyWords(n PersonName) []string {
	if textAlone(n) {
		return nameWords(n.Text)
	}
	return nameWords(n.Family)
}

func givenWords(n PersonName) []string {
	if textAlone(n) {
		return nameWords(n.Text)
	}
	return nameWords(strings.Join(n.Given, " "))
}

func textAlone(n PersonName) bool { return n.Family == "" && len(n.Given) == 0 }

// sameFamily: all words of the shorter one are in the other.
func sameFamily(a, b []string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	whole := strings.Join(b, "")
	return strings.Join(a, "") == whole || !slices.ContainsFunc(a, func(word string) bool { return !slices.Contains(b, word) })
}

// sameGiven: the first name of one is among the other's, or the initial of its
// first. A second name in common says nothing: twins have it too.
func sameGiven(a, b []string) bool {
	return slices.Contains(b, a[0]) || slices.Contains(a, b[0]) || initialOf(a[0], b[0]) || initialOf(b[0], a[0]) ||
		strings.Join(a, "") == strings.Join(b, "")
}

func initialOf(short, long string) bool {
	letter, size := utf8.DecodeRuneInString(short)
	return size == len(short) && unicode.IsLower(letter) && strings.HasPrefix(long, short)
}

// NameKey is a name as it is compared with those of others: its letters alone,
// without case and accents.
func NameKey(name string) string { return strings.Join(nameWords(name), "") }

// nameWords are the words of a name: lower case, without accents and marks.
// An apostrophe divides none.
func nameWords(name string) []string {
	var b strings.Builder
	for _, c := range strings.ToLower(name) {
		switch {
		case unicode.Is(unicode.Mn, c), strings.ContainsRune("'’‘ʼ`´", c):
		case unicode.IsLetter(c) || unicode.IsDigit(c):
			b.WriteString(plainLetter(c))
		default:
			b.WriteByte(' ')
		}
	}
	return strings.Fields(b.String())
}

// plainLetters are Latin letters with the marks that they are often written
// without: each plain one is followed by a colon and those.
const plainLetters = `a:àáâãäåāăąǎạả c:çćĉċč d:ďđð e:èéêëēĕėęěẹẻẽ g:ĝğġģ h:ĥħ i:ìíîïĩīĭįıịỉ j:ĵ k:ķ l:ĺļľŀł n:ñńņňŉ ` +
	`o:òóôõöøōŏőǒọỏơ r:ŕŗř s:śŝşšș t:ţťŧț u:ùúûüũūŭůűųǔụủư w:ŵ y:ýÿŷỳỹ z:źżž ae:æ oe:œ ss:ß th:þ`

func plainLetter(c rune) string {
	if c < 0x80 {
		return string(c)
	}
	for group := range strings.FieldsSeq(plainLetters) {
		if plain, marked, _ := strings.Cut(group, ":"); strings.ContainsRune(marked, c) {
			return plain
		}
	}
	return string(c)
}
