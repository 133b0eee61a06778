// Package browser tests the pages of package report in a real Chromium. It is a module of
// its own, so that what drives the browser stays out of ours.
//
//	trace, rows ──report──▶ page ──file:──▶ Chromium, without a network
//	     │                                     │  keys, mouse, slider, filters
//	     └──trace.Disk, sums──▶ what it should show ══ what it shows
//
// There are only tests. Each of them also fails where the page writes anything to its
// console, throws, or asks for anything but its own file. Screenshots go to artefacts/ in
// the root of the repository, or where ARTEFACTS says:
//
//	apt-get install chromium
//	make browser
package browser
