package plan

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ArgError says that a step or a setting has no usable value under a key. It
// matches ErrSyntax.
type ArgError struct {
	Where   string // "step 3 append", or "set"
	Key     string
	Value   string // what stands there; "" with Missing
	Missing bool
	Want    string // what should stand there, in words
}

func (e *ArgError) Error() string {
	if e.Missing {
		return fmt.Sprintf("plan: %s: no %s: add %s=…, %s", e.Where, word(e.Key, true), word(e.Key, true), e.Want)
	}
	return fmt.Sprintf("plan: %s: %s=%s: write %s", e.Where, word(e.Key, true), clip(word(e.Value, false)), e.Want)
}

// Is reports whether target is ErrSyntax.
func (e *ArgError) Is(target error) bool { return target == ErrSyntax }

// String is the step as its line in a plan file, without comments.
func (s Step) String() string {
	var b strings.Builder
	s.write(&b)
	return b.String()
}

// Lookup returns the value of an argument; ok is false if there is none.
func (s Step) Lookup(key string) (value string, ok bool) { return lookup(s.Args, key) }

// Get returns the value of an argument, "" if there is none.
func (s Step) Get(key string) string {
	value, _ := lookup(s.Args, key)
	return value
}

// With returns the step with an argument set, in its old place or at the end.
// The step itself does not change.
func (s Step) With(key, value string) Step {
	s.Args = set(s.Args, key, value)
	return s
}

// Required returns the value of an argument, or an *ArgError if there is none.
func (s Step) Required(key string) (string, error) {
	value, ok := lookup(s.Args, key)
	if !ok {
		return "", &ArgError{Where: s.where(), Key: key, Missing: true, Want: "a word or a quoted string"}
	}
	return value, nil
}

// Int returns an argument as a whole number, standard if there is none, or an
// *ArgError.
func (s Step) Int(key string, standard int64) (int64, error) {
	return toInt(s.Args, s.where(), key, standard)
}

// Uint returns an argument as a whole number of 0 or more, standard if there
// is none, or an *ArgError.
func (s Step) Uint(key string, standard uint64) (uint64, error) {
	return toUint(s.Args, s.where(), key, standard)
}

// Bool returns an argument as true or false, standard if there is none, or an
// *ArgError.
func (s Step) Bool(key string, standard bool) (bool, error) {
	return toBool(s.Args, s.where(), key, standard)
}

// Duration returns an argument as a length of time ("1m30s", "-5ms"), standard
// if there is none, or an *ArgError.
func (s Step) Duration(key string, standard time.Duration) (time.Duration, error) {
	return toDuration(s.Args, s.where(), key, standard)
}

func (s Step) where() string { return fmt.Sprintf("step %d %s", s.Number, word(s.Verb, true)) }

// Setting returns the value of a setting; ok is false if there is none.
func (p *Plan) Setting(key string) (value string, ok bool) { return lookup(p.Settings, key) }

// Set sets a setting, in its old place or at the end.
func (p *Plan) Set(key, value string) { p.Settings = set(p.Settings, key, value) }

// Int is Step.Int for a setting.
func (p *Plan) Int(key string, standard int64) (int64, error) {
	return toInt(p.Settings, "set", key, standard)
}

// Uint is Step.Uint for a setting.
func (p *Plan) Uint(key string, standard uint64) (uint64, error) {
	return toUint(p.Settings, "set", key, standard)
}

// Bool is Step.Bool for a setting.
func (p *Plan) Bool(key string, standard bool) (bool, error) {
	return toBool(p.Settings, "set", key, standard)
}

// Duration is Step.Duration for a setting.
func (p *Plan) Duration(key string, standard time.Duration) (time.Duration, error) {
	return toDuration(p.Settings, "set", key, standard)
}

func lookup(list []KV, key string) (string, bool) {
	for _, kv := range list {
		if kv.Key == key {
			return kv.Value, true
		}
	}
	return "", false
}

// set returns a new list, so that copies of a step do not change each other.
func set(list []KV, key, value string) []KV {
	changed := make([]KV, 0, len(list)+1)
	found := false
	for _, kv := range list {
		if kv.Key == key {
			kv.Value, found = value, true
		}
		changed = append(changed, kv)
	}
	if !found {
		changed = append(changed, KV{Key: key, Value: value})
	}
	return changed
}

func toInt(list []KV, where, key string, standard int64) (int64, error) {
	return value(list, where, key, standard, "a whole number of 64 bits", func(text string) (int64, error) {
		return strconv.ParseInt(text, 10, 64)
	})
}

func toUint(list []KV, where, key string, standard uint64) (uint64, error) {
	return value(list, where, key, standard, "a whole number of 64 bits, 0 or more", func(text string) (uint64, error) {
		return strconv.ParseUint(text, 10, 64)
	})
}

func toBool(list []KV, where, key string, standard bool) (bool, error) {
	return value(list, where, key, standard, "true or false", func(text string) (bool, error) {
		if text != "true" && text != "false" {
			return false, strconv.ErrSyntax
		}
		return text == "true", nil
	})
}

func toDuration(list []KV, where, key string, standard time.Duration) (time.Duration, error) {
	return value(list, where, key, standard, "a length of time such as 1m30s", time.ParseDuration)
}

// value reads what stands under a key, or says that it is not what is wanted.
func value[T any](list []KV, where, key string, standard T, want string, parse func(string) (T, error)) (T, error) {
	text, ok := lookup(list, key)
	if !ok {
		return standard, nil
	}
	read, err := parse(text)
	if err != nil {
		var none T
		return none, &ArgError{Where: where, Key: key, Value: text, Want: want}
	}
	return read, nil
}
