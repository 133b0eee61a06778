package browser

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// Where the screenshots go, and what says otherwise.
const (
	artefacts   = "../../../artefacts"
	artefactsIn = "ARTEFACTS"
)

// view is how somebody looks at a page.
type view struct {
	width, height int64 // pixels
	dark          bool
}

// The screens that a page has to be readable on.
var (
	desk     = view{width: 1280, height: 900}
	deskDark = view{width: 1280, height: 900, dark: true}
	phone    = view{width: 390, height: 844}
)

// chromium is the path of a browser.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("no Chromium is on the PATH: apt-get install chromium")
	return ""
}

// tab is a page in a browser without a network. Whatever it writes to its console, and
// each request for what is not a file, fails the test.
type tab struct {
	t        *testing.T
	ctx      context.Context
	console  func() []string
	clean    func() // what a page has to be at its end
	mu       sync.Mutex
	requests []string // guarded by mu
}

// browser is a Chromium that runs until the end of a test.
type browser struct{ ctx context.Context }

func start(t *testing.T) browser {
	t.Helper()
	flags := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium(t)), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, flags...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx, chromedp.WithErrorf(log.New(io.Discard, "", 0).Printf))
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start Chromium: %v", err)
	}
	return browser{ctx}
}

// open opens a page in a tab of its own, without a network.
func (c browser) open(t *testing.T, v view, write func(w io.Writer) error) *tab {
	t.Helper()
	path := filepath.Join(t.TempDir(), "report.html")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(write(f), f.Close()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := chromedp.NewContext(c.ctx)
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx}
	b.clean = b.wantClean
	if err := chromedp.Listen(ctx, b.listen); err != nil {
		t.Fatalf("open a tab: %v", err)
	}
	b.watch()
	scheme := "light"
	if v.dark {
		scheme = "dark"
	}
	b.do("begin", call(network.Enable, network.EnableParams{}),
		call(network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{MatchedNetworkConditions: []*network.Conditions{{Offline: true, DownloadThroughput: -1, UploadThroughput: -1}}}),
		call(network.OverrideNetworkState, network.OverrideNetworkStateParams{Offline: true, DownloadThroughput: -1, UploadThroughput: -1}),
		call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}}),
		chromedp.EmulateViewport(v.width, v.height),
		chromedp.Navigate("file://"+path))
	t.Cleanup(func() { b.clean() })
	return b
}

// watch collects what the page writes to its console.
func (b *tab) watch() {
	var mu sync.Mutex
	var said []string
	messages := chromedp.Console(b.ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for m, err := range messages {
			if err != nil {
				return
			}
			mu.Lock()
			said = append(said, m.String())
			mu.Unlock()
		}
	}()
	b.console = func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string{}, said...)
	}
}

func (b *tab) listen(event any) {
	if sent, ok := event.(*network.EventRequestWillBeSent); ok {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.requests = append(b.requests, sent.Request.URL)
	}
}

// outside lists the requests for what is neither a file nor in the page.
func (b *tab) outside() (list []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, url := range b.requests {
		if !strings.HasPrefix(url, "file:") && !strings.HasPrefix(url, "data:") {
			list = append(list, url)
		}
	}
	return list
}

// wantClean fails where the page complained, or asked for anything.
func (b *tab) wantClean() {
	b.t.Helper()
	// One more turn, so that what was on its way has come.
	get[bool](b, `new Promise(done => setTimeout(() => done(true), 50))`)
	for _, text := range b.console() {
		b.t.Errorf("the page wrote to its console: %s", text)
	}
	for _, url := range b.outside() {
		b.t.Errorf("the page asked for %s", url)
	}
}

func (b *tab) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatalf("%s: %v", what, err)
	}
}

// get evaluates an expression in the page.
func get[T any](b *tab, expression string) T {
	b.t.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// becomes waits until an expression is true, and fails where that takes too long for
// anybody.
func (b *tab) becomes(expression string) {
	b.t.Helper()
	if !get[bool](b, `new Promise(done => {
		let left = 400;
		const look = () => (`+expression+`) ? done(true) : --left > 0 ? setTimeout(look, 25) : done(false);
		look();
	})`) {
		b.t.Errorf("it never comes that %s", expression)
	}
}

// says waits until the console has something new that holds all of these, and reports
// whether it came.
func (b *tab) says(before int, want ...string) bool {
	b.t.Helper()
	for range 400 {
		said := strings.Join(b.console()[before:], "\n")
		if !slices.ContainsFunc(want, func(text string) bool { return !strings.Contains(said, text) }) {
			return true
		}
		time.Sleep(25 * time.Millisecond)
	}
	return false
}

// text is the text of the first element that a selector finds.
func (b *tab) text(selector string) string {
	b.t.Helper()
	return get[string](b, fmt.Sprintf(`document.querySelector(%q).textContent`, selector))
}

func (b *tab) press(keys string, with ...chromedp.KeyOption) {
	b.t.Helper()
	b.do("press "+keys, chromedp.KeyEvent(keys, with...))
}

// click goes to the middle of the first element that a selector finds, where nothing may
// lie over it, and presses the mouse.
func (b *tab) click(selector string) {
	b.t.Helper()
	type place struct {
		X, Y float64
		Over string // what lies there instead
	}
	at := get[place](b, fmt.Sprintf(`(() => {
		const element = document.querySelector(%q);
		if (!element) {
			return {Over: "nothing: there is no such element"};
		}
		element.scrollIntoView({block: "center", inline: "center"});
		const box = element.getBoundingClientRect(), X = box.x + box.width / 2, Y = box.y + box.height / 2;
		const there = document.elementFromPoint(X, Y);
		return {X, Y, Over: element.contains(there) ? "" : there ? there.outerHTML.slice(0, 100) : "nothing: it has no place"};
	})()`, selector))
	if at.Over != "" {
		b.t.Fatalf("click %s: there is %s", selector, at.Over)
	}
	b.do("click "+selector, chromedp.MouseClickXY(at.X, at.Y))
}

// choose takes another option of a select, as a person does.
func (b *tab) choose(id, value string) {
	b.t.Helper()
	if got := get[string](b, fmt.Sprintf(`(() => { const s = document.getElementById(%q); s.value = %q; s.dispatchEvent(new Event("change")); return s.value; })()`, id, value)); got != value {
		b.t.Fatalf("%s has no option %q", id, value)
	}
}

// fits fails where the page is wider than its window.
func (b *tab) fits() {
	b.t.Helper()
	type size struct{ Page, Window float64 }
	s := get[size](b, `({Page: document.documentElement.scrollWidth, Window: innerWidth})`)
	if s.Page > s.Window {
		wide := get[[]string](b, `[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > innerWidth && !e.parentElement.closest(".scroll, svg")).slice(0, 5).map(e => e.outerHTML.slice(0, 200))`)
		b.t.Errorf("the page is %v pixels wide in a window of %v: %s", s.Page, s.Window, strings.Join(wide, "\n"))
	}
}

// shoot saves what is in sight, or all of the page.
func (b *tab) shoot(name string, whole bool) {
	b.t.Helper()
	dir := os.Getenv(artefactsIn)
	if dir == "" {
		dir = artefacts
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.t.Fatal(err)
	}
	action := chromedp.CaptureScreenshot()
	if whole {
		action = chromedp.FullScreenshot(100)
	}
	image, err := chromedp.Run(b.ctx, action)
	if err != nil {
		b.t.Fatalf("screenshot %s: %v", name, err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), image, 0o644); err != nil {
		b.t.Fatal(err)
	}
}
