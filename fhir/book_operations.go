package fhir

// HoldOperation is Appointment/$hold: the Argonaut guide's, with IHE's name for
// the id beside its own.
func HoldOperation() Operation {
	return Operation{
		ID: "appointment-hold", Code: "hold", Name: "AppointmentHold", Title: "Hold an appointment",
		Resource: "Appointment", Instance: true, Changes: true,
		Description: "Keeps a proposed appointment for the caller for a while, so that nobody else books it meanwhile.",
		Comment: "Called by POST, on the id or with Parameters or an Appointment. The header Expires says how long " +
			"the hold lasts. A second call by the same caller renews it. Where the source itself cannot hold, the " +
			"outcome says that the hold binds callers of this gateway only.",
		Params: append(bookTarget(), Param{
			Name: "patient-id", Max: "*", Type: "Reference", STU3: "uri", Doc: "For whom it is held, where that is known already.",
		}, Param{
			Name: "patient-resource", Max: "*", Type: "Patient", Doc: "Taken, and told as not applied: nobody is registered for a hold.",
		}, Param{
			Name: "coverage", Max: "*", Type: "Coverage", Doc: "Taken, and told as not applied.",
		}, bookReturn("the held Appointment, of status pending")),
	}
}

// BookOperation is Appointment/$book, likewise.
func BookOperation() Operation {
	return Operation{
		ID: "appointment-book", Code: "book", Name: "AppointmentBook", Title: "Book an appointment",
		Resource: "Appointment", Instance: true, Changes: true,
		Description: "Books a proposed or held appointment for one patient or several.",
		Comment: "Called by POST, on the id or with Parameters or an Appointment whose participants name the " +
			"patient. A header Idempotency-Key makes a repeat safe. 202 says that it is not known yet whether the " +
			"source has booked: the Location answers with the appointment once it is. In appointment-resource a " +
			"status of booked moves the appointment, one of cancelled cancels it.",
		Params: append(bookTarget(),
			Param{Name: "patient-id", Max: "*", Type: "Reference", STU3: "uri", Doc: "A Patient by id or reference; or a participant of the Appointment is one."},
			Param{Name: "cancelled-appt-id", Max: "1", Type: "Reference", STU3: "uri", Doc: "The appointment whose place this one takes: cancelled already, or it will be once this one is booked."},
			Param{Name: "comment", Max: "1", Type: "string", Doc: "What the clinic should know."},
			Param{Name: "patient-resource", Max: "*", Type: "Patient", Doc: "A Patient who is registered first, at the gateway and where the appointment is. Who is known already stays one."},
			Param{Name: "coverage", Max: "*", Type: "Coverage", Doc: "The insurance that goes with it; or a reference to a Coverage that was given before. Without one, all that is kept of the patient's goes with it."},
			bookReturn("the Appointment, of status booked")),
	}
}

func bookTarget() []Param {
	return []Param{
		{Name: "appt-id", Max: "1", Type: "Reference", STU3: "uri", Doc: "The Appointment by id or reference, where the address does not have it."},
		{Name: "appointment-reference", Max: "1", Type: "Reference", STU3: "uri", Doc: "The same, by IHE's name."},
		{Name: "appt-resource", Max: "1", Type: "Appointment", Doc: "The Appointment, named by its id or by its slots."},
		{Name: "appointment-resource", Max: "1", Type: "Appointment", Doc: "The same, by IHE's name."},
		{Name: "source", Max: "1", Type: "string", Doc: "The source whose own ids of slots and patients are understood, beside ours."},
	}
}

func bookReturn(what string) Param {
	return Param{
		Name: "return", Out: true, Max: "1", Type: "Bundle",
		Doc: "A searchset of one entry, " + what + ", and an OperationOutcome where there is more to say.",
	}
}
