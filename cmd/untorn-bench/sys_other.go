//go:build !linux

package main

import "os"

func syncData(f *os.File) error { return f.Sync() }

func settle(string) error { return nil }

func deviceBytes(string) int64 { return -1 }

func inMemory(string) bool { return false }
