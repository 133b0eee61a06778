package record

import (
	"maps"
	"slices"
	"strings"
)

// AppendExtensions appends the extensions of an event in the order of their
// keys, bytewise: key, value, key, value …, each behind its length as a
// uvarint. No extensions are no bytes.
func AppendExtensions(dst []byte, extensions map[string][]byte) []byte {
	if len(extensions) == 0 {
		return dst
	}
	for _, key := range slices.Sorted(maps.Keys(extensions)) {
		dst = appendString(dst, key)
		dst = appendBytes(dst, extensions[key])
	}
	return dst
}

// DecodeExtensions reads what AppendExtensions wrote. The values alias the
// input; no bytes are a nil map. The error is a *DecodeError: something is cut,
// or the keys do not rise.
func DecodeExtensions(encoded []byte) (map[string][]byte, error) {
	if len(encoded) == 0 {
		return nil, nil
	}
	d := decoder{input: encoded}
	extensions := make(map[string][]byte)
	last := ""
	for first := true; d.at < len(encoded); first = false {
		at := d.at
		key := string(d.bytes("extension key"))
		value := d.bytes("extension value")
		if !first && d.err == nil && strings.Compare(last, key) >= 0 {
			d.failAt(at, "extension key", "not behind the one before it")
		}
		if d.err != nil {
			return nil, d.err
		}
		extensions[key] = value
		last = key
	}
	return extensions, nil
}
