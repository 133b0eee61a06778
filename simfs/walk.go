package simfs

import "fmt"

// Answers is a Chooser that follows a list of answers and takes option 0 where the
// list ends. It keeps what it was asked and what it answered.
type Answers struct {
	Options []int // of each question, how many options it had
	Taken   []int // the option taken
	given   []int
	had     []int // how many options the given questions must have
}

// Choose answers the next question.
func (a *Answers) Choose(v Var) int {
	k, n := 0, len(a.Taken)
	if n < len(a.given) {
		k = a.given[n]
		if len(v.Options) != a.had[n] {
			panic(fmt.Sprintf("simfs: question %d, %s, had %d options for the same answers before: what is walked must be deterministic", n, v, a.had[n]))
		}
	}
	a.Options = append(a.Options, len(v.Options))
	a.Taken = append(a.Taken, k)
	return k
}

// Walk calls leaf once for each way to answer the questions that leaf asks of its
// Chooser, and returns how many ways there are. The same answers must lead to the
// same question, or Walk panics. It stops after limit leaves; then all is false.
func Walk(limit int, leaf func(a *Answers)) (leaves int, all bool) {
	todo := []*Answers{{}}
	for ; len(todo) > 0; leaves++ {
		if leaves >= limit {
			return leaves, false
		}
		a := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		leaf(a)
		for i := len(a.given); i < len(a.Taken); i++ {
			for k := a.Options[i] - 1; k > 0; k-- {
				given := append(append(make([]int, 0, i+1), a.Taken[:i]...), k)
				todo = append(todo, &Answers{given: given, had: a.Options[: i+1 : i+1]})
			}
		}
	}
	return leaves, true
}
