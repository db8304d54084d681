package fhir

import (
	"time"

	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// The profiles and extensions by which the Argonaut guide subscribes to changes
// (argo-sub-notif). It defines them for STU3; R4 has the same elements.
const (
	guideProfile = "http://fhir.org/guides/argonaut-scheduling/StructureDefinition/"

	SubscriptionProfile = guideProfile + "argo-sub-notif"
	NoticeProfile       = guideProfile + "argo-sched-notif"
	TriggerExtension    = guideProfile + "extension-subscription-triggerevent"
	FocusExtension      = guideProfile + "extension-subscription-eventfocus"
	PayloadExtension    = guideProfile + "extension-subscription-payloadprofile"
)

// subscriptionCriteria is told in both ways: as the search that a plain server
// understands, and as the extensions of the guide.
const subscriptionCriteria = "Slot?"

// criteriaExtensions stand at the criteria, which is a primitive.
const criteriaExtensions = `{"_criteria":{"extension":[` +
	`{"url":"` + TriggerExtension + `","valueString":"schedule where any slot that reference it has changed"},` +
	`{"url":"` + FocusExtension + `","valueCode":"Slot"}]}}`

// Subscription asks a source to tell us of changes until end. id is "" for a new
// one.
func Subscription(id string, channel scheduling.Channel, end time.Time) *model.Subscription {
	s := &model.Subscription{
		Status:   string(scheduling.SubscriptionRequested),
		Reason:   "Notify subscriber of schedule changes to trigger the subscriber to prefetch updated slots",
		Criteria: subscriptionCriteria,
		End:      end.UTC().Format(time.RFC3339),
		Channel: &model.SubscriptionChannel{
			Type: "rest-hook", Endpoint: channel.Endpoint, Payload: "application/fhir+json",
		},
	}
	s.ID, s.Meta = id, &model.Meta{Profile: []string{SubscriptionProfile}}
	s.X = []byte(criteriaExtensions)
	s.Channel.Extension = []model.Extension{{URL: PayloadExtension, ValueURI: NoticeProfile}}
	if channel.Header != "" {
		s.Channel.Header = []string{channel.Header}
	}
	return s
}

// ToSubscription is what a source says of one. A time of its end that cannot be
// read is none.
func ToSubscription(in *model.Subscription) scheduling.Subscription {
	out := scheduling.Subscription{ID: in.ID, Status: scheduling.SubscriptionStatus(in.Status)}
	out.End, _ = scheduling.ParseInstant(in.End, time.UTC)
	return out
}

// maxNoticeActors bounds what one notification names.
const maxNoticeActors = 50

// ReadNotice reads a notification: a Schedule with its actor and planning
// horizon, as the guide says, or the Slot itself, as servers send it that know
// nothing of the guide.
//
// Errors: bad-request.
func ReadNotice(rel scheduling.Release, f Format, body []byte) (scheduling.Notice, error) {
	res, err := Read(rel, f, body)
	if err != nil {
		return scheduling.Notice{}, err
	}
	var n scheduling.Notice
	switch res := res.(type) {
	case *model.Schedule:
		n = noticeOfSchedule(res)
	case *model.Slot:
		n = scheduling.Notice{Schedule: refID(res.Schedule, scheduling.KindSchedule), Start: res.Start, End: res.End}
	default:
		return n, scheduling.Refuse(scheduling.BadRequest, "", "a notification is a Schedule")
	}
	switch {
	case n.Schedule == "" && len(n.Actors) == 0:
		return n, scheduling.Refuse(scheduling.BadRequest, "", "the notification names neither a schedule nor an actor that we know")
	case n.Schedule != "" && !scheduling.ValidID(n.Schedule), len(n.Actors) > maxNoticeActors:
		return n, scheduling.Refuse(scheduling.BadRequest, "", "the notification names no schedule that there can be")
	case n.Check() != nil:
		return n, scheduling.Refuse(scheduling.BadRequest, "", "the notification's planning horizon cannot be read")
	}
	return n, nil
}

// noticeOfSchedule keeps of a Schedule what a fetch needs: who is meant by id.
// Names are left out.
func noticeOfSchedule(in *model.Schedule) scheduling.Notice {
	n := scheduling.Notice{Schedule: in.ID}
	for i := range in.Actor {
		if actor, ok := toActor(&in.Actor[i]); ok && actor.ID != "" {
			n.Actors = append(n.Actors, scheduling.Actor{Kind: actor.Kind, ID: actor.ID})
		}
	}
	if in.PlanningHorizon != nil {
		n.Start, n.End = in.PlanningHorizon.Start, in.PlanningHorizon.End
	}
	return n
}
