package codec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"unicode/utf8"
)

// Codec is a form of payloads. Both methods get a pointer: *T for a type that was
// registered as T, and *T as well for one that was registered as *T. Equal values
// should give equal bytes. A Codec is used by many goroutines at a time.
//
// Where a codec has a method Equal(a, b any) bool, package codectest asks it
// whether a value has come back as it was, instead of reflect.DeepEqual.
type Codec interface {
	// Encode returns the bytes of *value.
	Encode(value any) ([]byte, error)
	// Decode sets *value, which is zero, to what the bytes say. It keeps no
	// reference to them: those of a borrowed event are overwritten by the next one.
	Decode(data []byte, value any) error
}

// JSON is the default codec: encoding/json, stricter where it would lose
// something without a word.
//
// The bytes are those of json.Marshal without escapes for HTML: one line, fields
// in the order of the struct, keys of maps sorted. Equal values give equal bytes
// unless a MarshalJSON method says otherwise. A text that is not UTF-8 is refused,
// where encoding/json replaces what it cannot say by \ufffd; that escape, in what
// a MarshalJSON method returns, is refused for the same reason.
//
// Decode refuses bytes that are not UTF-8, fields that the type does not have, and
// anything behind the value. It refuses a payload that is null, of which
// encoding/json makes a zero value, unless null is a value of the type: if that is
// a map, slice, interface or pointer, or has a method UnmarshalJSON, as
// json.RawMessage has, which then says what null is. For a type that was registered
// as *T it is T that counts. Encode refuses what Decode would refuse for that.
//
// Numbers in an any are json.Number, with all their digits. Fields that are missing
// stay zero. As in encoding/json, null inside a payload leaves what it stands for
// zero, names match whatever their case, and the last of two equal names counts.
type JSON struct {
	// IgnoreUnknown decodes payloads with fields that the type does not have, and
	// drops these. Without it such a payload is refused: its writer knew something
	// under this version that this program does not.
	IgnoreUnknown bool
}

// Encode returns the JSON of a value.
func (JSON) Encode(value any) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	data := bytes.TrimSuffix(buffer.Bytes(), []byte("\n"))
	if replaced(data) {
		return nil, errors.New("a text is not UTF-8: keep bytes in a []byte")
	}
	if string(data) == "null" && !takesNull(value) {
		return nil, fmt.Errorf("the %T says null, and cannot be decoded from it", value)
	}
	return data, nil
}

// replaced reports whether there is a \ufffd, which encoding/json writes for what
// is not UTF-8. A U+FFFD that was there already stands in the text as itself.
func replaced(data []byte) bool {
	for from := 0; ; {
		i := bytes.Index(data[from:], []byte(`\ufffd`))
		if i < 0 {
			return false
		}
		at := from + i
		if before := data[:at]; (len(before)-len(bytes.TrimRight(before, `\`)))%2 == 0 {
			return true
		}
		from = at + 1 // an escaped backslash, and letters
	}
}

// whitespace is what JSON takes for that.
const whitespace = " \t\r\n"

// Decode sets the value that a pointer points to.
func (c JSON) Decode(data []byte, value any) error {
	if !utf8.Valid(data) {
		return errors.New("the payload is not UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if !c.IgnoreUnknown {
		decoder.DisallowUnknownFields()
	}
	if err := decoder.Decode(value); err == io.EOF {
		return errors.New("the payload is empty")
	} else if err != nil {
		return err
	}
	if string(bytes.Trim(data, whitespace)) == "null" && !takesNull(value) {
		return fmt.Errorf("the payload is null, which is no %v", reflect.TypeOf(value).Elem())
	}
	end := decoder.InputOffset()
	if rest := bytes.TrimLeft(data[end:], whitespace); len(rest) > 0 {
		return fmt.Errorf("%d bytes follow the value, which ends at byte %d", len(rest), end)
	}
	return nil
}

// takesNull reports whether null is a value of what a pointer points to. Of what is
// no pointer nobody has said that it is to be decoded.
func takesNull(pointer any) bool {
	t := reflect.TypeOf(pointer)
	if _, own := pointer.(json.Unmarshaler); own || t == nil || t.Kind() != reflect.Pointer {
		return true
	}
	switch t.Elem().Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice, reflect.Interface:
		return true
	}
	return false
}
