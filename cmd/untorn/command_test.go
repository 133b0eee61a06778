package main

import (
	"os"
	"testing"

	"github.com/untorn-db/untorn/cmd/internal/command/commandtest"
)

func TestCoverage(t *testing.T)   { commandtest.Coverage(t, program(), os.DirFS(".")) }
func TestCompletion(t *testing.T) { commandtest.Completion(t, program()) }
func TestManual(t *testing.T)     { commandtest.Manual(t, program()) }
