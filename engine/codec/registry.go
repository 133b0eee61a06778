package codec

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/untorn-db/untorn/engine"
)

// Registry knows which Go type stands for which version of which event type. The
// zero value is empty and encodes as JSON, as New(Options{}) does. It is not to be
// copied.
type Registry struct {
	codec Codec // of registrations that name none; nil is JSON

	mu    sync.RWMutex
	names map[string]*history       // guarded by mu
	types map[reflect.Type]*version // guarded by mu
}

// history is all versions of one name.
type history struct {
	current *version            // nil until it is registered
	old     map[uint32]*version // each with up
}

// version is one version of one name. It does not change.
type version struct {
	name   string
	number uint32
	goType reflect.Type
	codec  Codec

	// What the codec gets is a pointer to a struct, say, whether that or the
	// struct itself is the Go type.
	zero func() (pointer any)
	to   func(value any) (pointer any)
	from func(pointer any) (value any)

	up   func(old any) (any, error) // makes the next version; nil for the current one
	next reflect.Type               // what up returns
}

// Options say how a registry works. The zero value is good.
type Options struct {
	Codec Codec // of all versions that are registered without one; nil: JSON{}
}

// New returns an empty registry.
func New(options Options) *Registry { return &Registry{codec: options.Codec} }

// Register makes T the Go type of the current version of an event type: the one
// that is encoded. The name is 1 to 255 bytes of UTF-8 without control characters.
// T is a declared type or a pointer to one. The error matches ErrRegistration;
// nothing has changed then.
func Register[T any](r *Registry, name string, version uint32) error {
	return RegisterWith[T](r, name, version, nil)
}

// RegisterWith is Register for a version with a codec of its own; nil is that of
// the registry.
func RegisterWith[T any](r *Registry, name string, version uint32, codec Codec) error {
	return r.add(newVersion[T](name, version, codec))
}

// Upcast makes Old the Go type of an old version of an event type, and says how to
// make the next version, from + 1, of it. New is the Go type of that one, be it the
// current version or another old one. The order of registrations is free.
//
// Up is called by Decode, from many goroutines at a time. It should depend on
// nothing but its argument. The error matches ErrRegistration; nothing has changed
// then.
func Upcast[Old, New any](r *Registry, name string, from uint32, up func(Old) (New, error)) error {
	return UpcastWith(r, name, from, nil, up)
}

// UpcastWith is Upcast for an old version with a codec of its own; nil is that of
// the registry.
func UpcastWith[Old, New any](r *Registry, name string, from uint32, codec Codec, up func(Old) (New, error)) error {
	v := newVersion[Old](name, from, codec)
	v.next = reflect.TypeFor[New]()
	v.up = func(old any) (_ any, err error) {
		defer catch(&err)
		made, err := up(old.(Old))
		if err == nil && isNil(made) {
			err = fmt.Errorf("the upcaster has returned a nil %v", v.next)
		}
		return made, err
	}
	if up == nil {
		return v.wrong("the function that upcasts it is nil")
	}
	return r.add(v)
}

func newVersion[T any](name string, number uint32, codec Codec) *version {
	v := &version{name: name, number: number, goType: reflect.TypeFor[T](), codec: codec}
	if v.goType.Kind() == reflect.Pointer {
		v.zero = func() any { return reflect.New(v.goType.Elem()).Interface() }
		v.to = func(value any) any { return value }
		v.from = v.to
		return v
	}
	v.zero = func() any { return new(T) }
	v.to = func(value any) any {
		pointer := new(T)
		*pointer = value.(T)
		return pointer
	}
	v.from = func(pointer any) any { return *pointer.(*T) }
	return v
}

// String names a version in errors.
func (v *version) String() string { return fmt.Sprintf("%q version %d", v.name, v.number) }

// wrong says why a version is not registered.
func (v *version) wrong(format string, args ...any) error {
	return fmt.Errorf("codec: register %v: %w: %s", v, ErrRegistration, fmt.Sprintf(format, args...))
}

// add registers a version, the current one or an old one.
func (r *Registry) add(v *version) error {
	if err := v.check(); err != nil {
		return err
	}
	if v.codec == nil {
		v.codec = r.codec
	}
	if v.codec == nil {
		v.codec = JSON{}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if other := r.types[v.goType]; other != nil {
		return v.wrong("%v is the Go type of %v already: declare another one", v.goType, other)
	}
	h := r.names[v.name]
	if h == nil {
		h = &history{old: map[uint32]*version{}}
	}
	if err := h.check(v); err != nil {
		return err
	}
	if v.up == nil {
		h.current = v
	} else {
		h.old[v.number] = v
	}
	if r.names == nil {
		r.names, r.types = map[string]*history{}, map[reflect.Type]*version{}
	}
	r.names[v.name], r.types[v.goType] = h, v
	return nil
}

// check finds what is wrong with a version by itself.
func (v *version) check() error {
	switch {
	case v.name == "" || len(v.name) > 255:
		return v.wrong("the name has %d bytes, not 1 to 255", len(v.name))
	case !utf8.ValidString(v.name) || strings.IndexFunc(v.name, unicode.IsControl) >= 0:
		return v.wrong("the name is not UTF-8 without control characters")
	}
	declared := v.goType
	if declared.Kind() == reflect.Pointer {
		declared = declared.Elem()
	}
	switch {
	case declared.Kind() == reflect.Interface:
		return v.wrong("%v is an interface: an event is of one Go type", v.goType)
	case declared.PkgPath() == "":
		return v.wrong("%v says nothing about an event: declare a type of its own", v.goType)
	case v.up != nil && v.number == math.MaxUint32:
		return v.wrong("there is no next version")
	case declared == reflect.TypeFor[Raw]():
		return v.wrong("%v stands for events that nobody has registered", v.goType)
	}
	return nil
}

// check finds what is wrong with a version among the others of its name.
func (h *history) check(v *version) error {
	same := h.old[v.number]
	if h.current != nil && (v.up == nil || h.current.number == v.number) {
		same = h.current
	}
	if same != nil {
		if same.number != v.number {
			return v.wrong("version %d is the current one already, as %v: old ones are registered with Upcast", same.number, same.goType)
		}
		return v.wrong("the version is registered already, as %v", same.goType)
	}
	for _, old := range h.old {
		if v.up == nil && old.number > v.number {
			return v.wrong("version %d is an old one, and newer: register the last version", old.number)
		}
	}
	if h.current != nil && v.number > h.current.number {
		return v.wrong("the current version is %d: register the last version", h.current.number)
	}
	if before := h.old[v.number-1]; v.number > 0 && before != nil && before.next != v.goType {
		return v.wrong("version %d is upcast to %v, and not to %v", before.number, before.next, v.goType)
	}
	next := h.old[v.number+1]
	if h.current != nil && h.current.number == v.number+1 {
		next = h.current
	}
	if v.up != nil && next != nil && next.goType != v.next {
		return v.wrong("it is upcast to %v, and version %d is %v", v.next, next.number, next.goType)
	}
	return nil
}

// Check reports all that is incomplete: a *GapError for the first missing step of
// each gap between the oldest version of a name and its current one, and an error
// that matches ErrRegistration for a name that has old versions only. It is to be
// called when everything is registered.
func (r *Registry) Check() error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(r.names)) {
		h := r.names[name]
		numbers := slices.Sorted(maps.Keys(h.old))
		if h.current == nil {
			last := h.old[numbers[len(numbers)-1]]
			problems = append(problems, fmt.Errorf("codec: %w: %q has no current version: register %v, to which version %d is upcast",
				ErrRegistration, name, last.next, last.number))
			continue
		}
		for _, number := range numbers {
			if next := number + 1; next != h.current.number && h.old[next] == nil {
				problems = append(problems, fmt.Errorf("codec: %w", &GapError{Type: name, Version: next, Current: h.current.number}))
			}
		}
	}
	return errors.Join(problems...)
}

// Type is one registered version of an event type.
type Type struct {
	Name    string
	Version uint32
	Current bool // it is what is encoded; the others are upcast
	Go      reflect.Type
	Codec   Codec
}

// Types returns all that is registered, by name and version.
func (r *Registry) Types() []Type {
	r.mu.RLock()
	defer r.mu.RUnlock()
	all := make([]Type, 0, len(r.types))
	for _, v := range r.types {
		all = append(all, Type{Name: v.name, Version: v.number, Current: v.up == nil, Go: v.goType, Codec: v.codec})
	}
	slices.SortFunc(all, func(a, b Type) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version))
	})
	return all
}

// find returns the version that an event has, and the later ones that it is
// upcast to.
func (r *Registry) find(event *engine.Event) (v *version, later []*version, err error) {
	name, number := event.Type, event.PayloadVersion
	if event.Erased { // before a codec takes no bytes for a value
		return nil, nil, &ErasedError{Type: name, Version: number}
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	h := r.names[name]
	switch {
	case h == nil:
		return nil, nil, &UnknownError{Type: name, Version: number}
	case h.current == nil:
		return nil, nil, fmt.Errorf("%w: %q has no current version", ErrRegistration, name)
	case number > h.current.number:
		return nil, nil, &NewerError{Type: name, Version: number, Current: h.current.number}
	case number == h.current.number:
		return h.current, nil, nil
	}
	for at := number; at < h.current.number; at++ {
		old := h.old[at]
		if old == nil {
			return nil, nil, &GapError{Type: name, Version: at, Current: h.current.number}
		}
		later = append(later, old)
	}
	later = append(later, h.current)
	return later[0], later[1:], nil
}

// encodes returns the current version that a value is of.
func (r *Registry) encodes(value any) (*version, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	t := reflect.TypeOf(value)
	v := r.types[t]
	switch {
	case t == nil:
		return nil, fmt.Errorf("%w: the value is nil", ErrGoType)
	case v == nil && t.Kind() == reflect.Pointer && r.types[t.Elem()] != nil:
		return nil, fmt.Errorf("%w: %v is not registered, but %v is: give the value, not its pointer", ErrGoType, t, t.Elem())
	case v == nil && r.types[reflect.PointerTo(t)] != nil:
		return nil, fmt.Errorf("%w: %v is not registered, but *%v is: give a pointer", ErrGoType, t, t)
	case v == nil:
		return nil, fmt.Errorf("%w: %v is not registered", ErrGoType, t)
	case v.up != nil:
		return nil, fmt.Errorf("%w: %v is %v, an old one: only the current version is encoded", ErrGoType, t, v)
	case isNil(value):
		return nil, fmt.Errorf("%w: the %v is nil", ErrGoType, t)
	}
	return v, nil
}

// isNil reports whether a value is a nil pointer. A nil map or slice is a value.
func isNil(value any) bool {
	v := reflect.ValueOf(value)
	return v.Kind() == reflect.Pointer && v.IsNil()
}

// encode calls the codec.
func (v *version) encode(value any) (data []byte, err error) {
	defer catch(&err)
	return v.codec.Encode(v.to(value))
}

// decode calls the codec.
func (v *version) decode(data []byte) (_ any, err error) {
	defer catch(&err)
	pointer := v.zero()
	if err := v.codec.Decode(data, pointer); err != nil {
		return nil, err
	}
	return v.from(pointer), nil
}

// catch makes an error of the panic of a caller's function. It is to be deferred.
func catch(err *error) {
	if value := recover(); value != nil {
		*err = &engine.PanicError{Value: value, Stack: debug.Stack()}
	}
}
