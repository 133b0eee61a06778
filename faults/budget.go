package faults

import "strings"

// Budget is what a program need not do because of what went wrong: its oracle
// relaxes so far and no further. The zero Budget relaxes nothing.
//
// No fault lets a program serve wrong bytes as good ones, or show half of what it
// promised to do as a whole; so there is no field for either.
type Budget struct {
	// MayFailCall: a call during which a fault hits, or a call after it that
	// depends on the one that failed, may return an error. Calls that ended before
	// keep what they promised.
	MayFailCall bool
	// MayRefuseOpen: opening may fail, also later, when nothing hits any more:
	// what is on the disk is damaged, or the disk goes on failing.
	MayRefuseOpen bool
	// MayReportDamage: reads, and opening, may say that bytes are damaged.
	MayReportDamage bool
	// MayLoseAcked: what was acknowledged as durable may be gone, because the disk
	// said that it had it, or lost or altered it afterwards.
	MayLoseAcked bool
	// MayBeSlow: calls may take longer in simulated time.
	MayBeSlow bool
}

// BudgetOf returns what the program must survive under these faults, all of them
// together.
func BudgetOf(faults []Fault) Budget {
	var b Budget
	for _, f := range faults {
		b = b.Or(f.budget())
	}
	return b
}

// Or returns what either allows.
func (b Budget) Or(c Budget) Budget {
	return Budget{
		MayFailCall:     b.MayFailCall || c.MayFailCall,
		MayRefuseOpen:   b.MayRefuseOpen || c.MayRefuseOpen,
		MayReportDamage: b.MayReportDamage || c.MayReportDamage,
		MayLoseAcked:    b.MayLoseAcked || c.MayLoseAcked,
		MayBeSlow:       b.MayBeSlow || c.MayBeSlow,
	}
}

func (f Fault) budget() Budget {
	again := f.Lasting != Once // the next open may meet it too
	switch f.Kind {
	case Fail, NoSpace, Held:
		return Budget{MayFailCall: true, MayRefuseOpen: again, MayReportDamage: f.Lasting == Here}
	case Short:
		if f.Op == Read {
			return Budget{} // a reader has to expect it
		}
		return Budget{MayFailCall: true, MayRefuseOpen: again}
	case Flip, Zero, Misdirect, Stale, Lose:
		// Wrong bytes at the end of a log look like a torn tail, which is cut.
		return Budget{MayFailCall: true, MayRefuseOpen: true, MayReportDamage: true, MayLoseAcked: true}
	case FailSync:
		switch f.Mode {
		case Silent:
			// The data is gone, and no call is told why.
			return Budget{MayRefuseOpen: true, MayReportDamage: true, MayLoseAcked: true}
		case Ext4Data:
			// This sync said yes; only the next one is told.
			return Budget{MayFailCall: true, MayRefuseOpen: true, MayReportDamage: true, MayLoseAcked: true}
		}
		return Budget{MayFailCall: true, MayRefuseOpen: again || f.Mode == Shutdown}
	case Slow:
		return Budget{MayBeSlow: true}
	}
	return Budget{}
}

// String lists what is allowed.
func (b Budget) String() string {
	var may []string
	for _, field := range []struct {
		set  bool
		what string
	}{
		{b.MayFailCall, "fail calls"},
		{b.MayRefuseOpen, "refuse to open"},
		{b.MayReportDamage, "report damage"},
		{b.MayLoseAcked, "lose what was acknowledged"},
		{b.MayBeSlow, "be slow"},
	} {
		if field.set {
			may = append(may, field.what)
		}
	}
	if may == nil {
		return "must keep every promise"
	}
	return "may " + strings.Join(may, ", ") + "; must never serve wrong bytes"
}
