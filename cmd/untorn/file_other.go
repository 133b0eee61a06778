//go:build !unix

package main

// noWaiting is nothing: a pipe has no name here that a file has.
const noWaiting = 0
