package gateway

import (
	"github.com/gofiber/fiber/v2"

	"slotgate/fhir"
	"slotgate/scheduling"
)

// answerFind writes the page that was found: the offers, soonest first, and
// last the outcome, which tells how fresh they are and does not count.
func (x *exchange) answerFind(a asked, found scheduling.Found) error {
	address := x.s.root(x.release) + "/Appointment/$find"
	answer := fhir.FindAnswer{
		Release: x.release,
		Base:    x.s.root(x.release),
		Self:    x.link(address, a.params, a.Query.Count, a.Cursor),
		Found:   found,
		Outcome: fhir.FindOutcome(a.Find, found),
	}
	answer.Outcome.Issue = append(answer.Outcome.Issue, toldStale(a.left, found.Sources)...)
	answer.Outcome.Issue = append(answer.Outcome.Issue, toldParts(a.parts, found.Sources)...)
	x.shown(found.Offers)
	if next := x.s.nextOffer(a, found); next != "" {
		answer.Next = x.link(address, a.params, a.Query.Count, next)
	}
	if len(answer.Next) > x.s.longestLink() {
		answer.Next = ""
		answer.Outcome.Issue = append(answer.Outcome.Issue, fhir.Told("warning", "too-long",
			"more offers match, but the criteria are too long for a next link: ask for more at once by _count", "_count"))
	}
	return x.write(answer)
}

// longestLink is how long a link may be that can still be followed, with room
// for a client's headers. What a POST asks may be longer.
func (s *Server) longestLink() int { return s.opts.HeaderLimit * 3 / 4 }

// write writes the answer in the format asked for.
func (x *exchange) write(answer fhir.FindAnswer) error {
	// What fasthttp keeps for bodies has the size of those before.
	body, err := x.s.renderer.Find(x.c.Response().SwapBody(nil)[:0], answer)
	if err != nil {
		return err
	}
	if x.format == fhir.XML {
		xml, _, err := fhir.ToXML(x.release, body)
		if err != nil {
			return err
		}
		return x.send(fiber.StatusOK, xml)
	}
	x.head(fiber.StatusOK)
	x.c.Response().SwapBody(body)
	return nil
}

// nextOffer is the cursor of the next page, "" behind the last one. _count=0
// asks for no page at all.
func (s *Server) nextOffer(a asked, found scheduling.Found) string {
	switch {
	case !found.More:
		return ""
	case !a.next.IsZero():
		return s.cursors.make(findPlace(a.params), a.next)
	case !found.Next.IsZero():
		return s.cursors.make(findPlace(a.params), found.Next)
	case len(found.Offers) == 0:
		return ""
	}
	last := found.Offers[len(found.Offers)-1]
	return s.cursors.make(findPlace(a.params), scheduling.Cursor{Start: last.Start(), ID: last.ID})
}
