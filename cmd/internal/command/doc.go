// Package command is a program made of commands: its command line, its help, its exit
// codes, its completion and its manual page.
//
//	p := command.Program{Name: "greet", Short: "greet says hello.", Groups: []command.Group{{Title: "Say hello", Commands: []command.Command{{
//		Name: "hello", Operands: "NAME", Short: "greet somebody",
//		Prepare: func(flags *flag.FlagSet) func(*command.Env) error {
//			loud := flags.Bool("loud", false, "so that all can hear it")
//			return func(e *command.Env) error {
//				if e.Operand() == "" {
//					return command.Incomplete("no NAME: say who is greeted")
//				}
//				return hello(e.Stdout, e.Operand(), *loud)
//			}
//		},
//	}}}}}
//	os.Exit(p.Run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
//
// All comes from one table, the Program:
//
//	            ┌──▶ Run: dispatch ──▶ Prepare, flags ──▶ the command ──▶ stdout, notes
//	            │                                             └── error ──▶ one line on stderr, exit code
//	Program ────┼──▶ help, COMMAND --help
//	            ├──▶ completion bash|zsh|fish
//	            └──▶ man
//
// What every command line can rely on:
//
//   - Flags stand before, between or behind operands.
//   - What fails says so on one line, which begins with the program and the command; what
//     controls a terminal is not in it. A command line or an input that cannot be
//     understood exits with 2, anything else with 1 or what the command says (Fail).
//   - Help that was asked for goes to stdout, and is no failure.
//   - An output that cannot be written is a failure.
package command
