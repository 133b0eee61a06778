// Package browser tests the pages of package report in a real Chromium. It is a module of
// its own, so that what drives the browser stays out of ours.
package browser
