package scheduling_test

import (
	"errors"
	"fmt"
	"testing"

	"slotgate/scheduling"
)

func TestForeignErrorsBecomeInternalAndKeepTheirText(t *testing.T) {
	foreign := errors.New("dial tcp 10.0.0.1: refused")
	e := scheduling.AsError(fmt.Errorf("load: %w", foreign))
	if e.Code != scheduling.Internal || e.Message == "" || !errors.Is(e, foreign) {
		t.Errorf("%+v", e)
	}
	ours := scheduling.Refuse(scheduling.BadRequest, "start", "not a date")
	if got := scheduling.AsError(fmt.Errorf("find: %w", ours)); got != ours {
		t.Errorf("ours was wrapped and lost: %v", got)
	}
	if scheduling.AsError(nil) != nil || scheduling.CodeOf(nil) != "" {
		t.Error("no error became one")
	}
}
