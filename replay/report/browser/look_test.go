package browser

import (
	"io"
	"strings"
	"testing"

	"github.com/untorn-db/untorn/replay/report/internal/example"
	"github.com/untorn-db/untorn/replay/trace"
)

// contrasts lists the texts whose colour is too near to what is behind them, for WCAG AA.
// A canvas says what a colour is, however it is written.
const contrasts = `(() => {
	const canvas = document.createElement("canvas");
	canvas.width = canvas.height = 1;
	const context = canvas.getContext("2d", {willReadFrequently: true});
	const over = (below, colour) => {
		context.fillStyle = "rgb(" + below.join(",") + ")";
		context.fillRect(0, 0, 1, 1);
		context.fillStyle = colour;
		context.fillRect(0, 0, 1, 1);
		return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
	};
	const behind = element => {
		const chain = [];
		for (let e = element; e; e = e.parentElement) {
			chain.unshift(getComputedStyle(e).backgroundColor);
		}
		return chain.reduce(over, [255, 255, 255]);
	};
	const luminance = rgb => {
		const [r, g, b] = rgb.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const poor = new Set();
	const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	let texts = 0;
	while (walk.nextNode()) {
		const element = walk.currentNode.parentElement, style = getComputedStyle(element);
		if (!walk.currentNode.textContent.trim() || !element.getClientRects().length || element.closest("script, style, title, .away, :disabled")) {
			continue;
		}
		texts++;
		let ground = behind(element);
		if (element.namespaceURI.endsWith("svg") && style.stroke !== "none") { // a halo
			ground = over(ground, style.stroke);
		} else if (element.namespaceURI.endsWith("svg")) { // on the shape before it
			const shape = element.previousElementSibling;
			if (shape && shape.tagName === "rect" && !getComputedStyle(shape).fill.startsWith("url")) {
				ground = over(ground, getComputedStyle(shape).fill);
			}
		}
		const colour = over(ground, element.namespaceURI.endsWith("svg") ? style.fill : style.color);
		const [a, b] = [luminance(colour), luminance(ground)].sort((a, b) => b - a);
		const contrast = (a + 0.05) / (b + 0.05);
		if (contrast < 4.5) {
			poor.add(contrast.toFixed(2) + ": " + element.tagName + "." + (element.getAttribute("class") || "") + " in " + (element.parentElement.getAttribute("class") || element.parentElement.tagName));
		}
	}
	if (texts < 50) {
		poor.add("only " + texts + " texts were found");
	}
	return [...poor];
})()`

// TestLook: on every screen the page is no wider than its window, its texts can be read,
// and what may be pressed with a finger is large enough.
func TestLook(t *testing.T) {
	c := start(t)
	for name, page := range map[string]func(io.Writer) error{"plan": plan(example.Failure()), "run": run(example.Rows()), "kept": plan(example.Kept())} {
		for screen, v := range map[string]view{"desk": desk, "dark": deskDark, "phone": phone, "phone-dark": {phone.width, phone.height, true}} {
			t.Run(name+"-"+screen, func(t *testing.T) {
				b := c.open(t, v, page)
				b.fits()
				if dark := get[bool](b, `matchMedia("(prefers-color-scheme: dark)").matches`); dark != v.dark {
					t.Fatalf("dark is %v", dark)
				}
				ground := get[string](b, `getComputedStyle(document.body).backgroundColor`)
				if light := ground == "rgb(246, 247, 249)"; light == v.dark {
					t.Errorf("the page's ground is %s", ground)
				}
				b.shoot(name+"-"+screen, true)
				if name == "run" {
					b.click(".heat-cell.broken")
				}
				if poor := get[[]string](b, contrasts); len(poor) > 0 {
					t.Errorf("poor contrast:\n%s", strings.Join(poor, "\n"))
				}
				if small := get[[]string](b, `[...document.querySelectorAll("button")].filter(e => e.getClientRects().length && e.getBoundingClientRect().height < 20).map(e => e.outerHTML.slice(0, 90))`); len(small) > 0 {
					t.Errorf("too low to press: %s", strings.Join(small, "\n"))
				}
				if unnamed := get[[]string](b, `[...document.querySelectorAll("button, select, input, [role=img], [role=region]")].filter(e =>
					!(e.textContent.trim() || e.getAttribute("aria-label") || e.getAttribute("aria-labelledby") || e.closest("label"))).map(e => e.outerHTML.slice(0, 90))`); len(unnamed) > 0 {
					t.Errorf("without a name for those who do not see: %s", strings.Join(unnamed, "\n"))
				}
			})
		}
	}
}

// TestSight saves what is seen in the middle of work, at the sizes that count.
func TestSight(t *testing.T) {
	c := start(t)
	of := example.Failure()
	for screen, v := range map[string]view{"desk": desk, "dark": deskDark, "phone": phone} {
		b := c.open(t, v, plan(of))
		get[bool](b, `(document.getElementById("timeline").scrollIntoView(), true)`)
		b.slide(first(t, of, isKind(trace.Crash)) - 1)
		if top := get[float64](b, `document.querySelector(".scrub").getBoundingClientRect().top`); top < 0 || top > float64(v.height)/2 {
			t.Errorf("%s: the slider is at %v pixels", screen, top)
		}
		b.shoot("plan-"+screen+"-timeline", false)
		get[bool](b, `(document.getElementById("disk").scrollIntoView(), true)`)
		if top := get[float64](b, `document.querySelector(".scrub").getBoundingClientRect().top`); top != 0 {
			t.Errorf("%s: the slider is at %v pixels, and not at the top, while the disk is looked at", screen, top)
		}
		b.shoot("plan-"+screen+"-disk", false)
		b.fits()
	}
}
