package config_test

import (
	"errors"
	"testing"

	"slotgate/config"
	"slotgate/config/testenv"
)

// TestEveryMistakeIsToldInOneLine loads each testdata/*.bad.yml. Its first line says which error it must give, as
// `# want: LINE: message`.
func TestEveryMistakeIsToldInOneLine(t *testing.T) {
	t.Setenv("SLOTGATE_TEST_WORD", "open-sesame")
	testenv.Bad(t, "testdata/*.bad.yml", "# want: ", 60, func(path string) error {
		err := config.Load(path, &file{})
		if told := new(config.Error); !errors.As(err, &told) {
			t.Errorf("%s: got a %T", path, err)
		}
		return err
	})
}
