// Package bookingtest is for tests of the desk and of those who work for it: a
// store in memory (Store), an EHR that misbehaves on command (EHR), a clock that
// is moved by hand, and the contract that every store must keep (Contract).
//
// The same contract runs against the twin here and against Redis in cache:
//
//	for _, c := range bookingtest.Contract() {
//		t.Run(c.Name, func(t *testing.T) { c.Run(t, newFixture(t)) })
//	}
package bookingtest
