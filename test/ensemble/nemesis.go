package ensemble

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"paddock/test/harness"
)

// Fault is something bad that can be done to an ensemble for a while.
type Fault struct {
	Name string
	Cuts bool // it needs a network that can be cut
	// Begin does it to a victim, or with it as the first of several; undo ends it.
	Begin func(e *harness.Ensemble, victim *harness.Member) (undo func() error, err error)
	// Leader: the victim is whoever leads at that moment, if anybody does.
	Leader bool
}

// Faults are all that the nemesis knows.
var Faults = []Fault{
	{Name: "kill -9 the leader", Leader: true, Begin: kill},
	{Name: "kill -9 a server", Begin: kill},
	{Name: "kill -9 all servers", Begin: killAll},
	{Name: "kill -9 a server while another is paused", Begin: killAndPause},
	{Name: "stop the leader", Leader: true, Begin: stop},
	{Name: "stop a server", Begin: stop},
	{Name: "pause the leader", Leader: true, Begin: pause},
	{Name: "pause a server", Begin: pause},
	{Name: "isolate the leader", Leader: true, Cuts: true, Begin: isolate},
	{Name: "isolate a server", Cuts: true, Begin: isolate},
	{Name: "nobody hears the leader", Leader: true, Cuts: true, Begin: mute},
	{Name: "the leader hears nobody", Leader: true, Cuts: true, Begin: deafen},
	{Name: "a server hears nobody", Cuts: true, Begin: deafen},
	{Name: "bridge: the leader and one other do not see each other", Leader: true, Cuts: true, Begin: bridge},
	{Name: "bridge: two servers do not see each other", Cuts: true, Begin: bridge},
	{Name: "the leader is cut off, clients and all", Leader: true, Cuts: true, Begin: unplug},
}

func kill(_ *harness.Ensemble, m *harness.Member) (func() error, error) {
	m.Kill()
	return m.Start, nil
}

func killAll(e *harness.Ensemble, _ *harness.Member) (func() error, error) {
	for _, m := range e.Members {
		m.Kill()
	}
	return func() (err error) {
		for _, m := range e.Members {
			err = errors.Join(err, m.Start())
		}
		return err
	}, nil
}

// killAndPause leaves no quorum of three.
func killAndPause(e *harness.Ensemble, m *harness.Member) (func() error, error) {
	m.Kill()
	o := others(e, m)[0]
	return func() error { return errors.Join(o.Continue(), m.Start()) }, o.Pause()
}

func stop(_ *harness.Ensemble, m *harness.Member) (func() error, error) {
	// How it ends is no matter here: Java's servers end with 143.
	_ = m.Stop()
	return m.Start, nil
}

func pause(_ *harness.Ensemble, m *harness.Member) (func() error, error) {
	return m.Continue, m.Pause()
}

func isolate(e *harness.Ensemble, m *harness.Member) (func() error, error) {
	return e.Heal, e.Isolate(m)
}

func mute(e *harness.Ensemble, m *harness.Member) (func() error, error) {
	var err error
	for _, o := range others(e, m) {
		err = errors.Join(err, e.CutOneWay(m, o))
	}
	return e.Heal, err
}

func deafen(e *harness.Ensemble, m *harness.Member) (func() error, error) {
	var err error
	for _, o := range others(e, m) {
		err = errors.Join(err, e.CutOneWay(o, m))
	}
	return e.Heal, err
}

func bridge(e *harness.Ensemble, m *harness.Member) (func() error, error) {
	return e.Heal, e.Cut(m, others(e, m)[0])
}

func unplug(e *harness.Ensemble, m *harness.Member) (func() error, error) {
	return e.Heal, errors.Join(e.Isolate(m), e.CutClients(m))
}

func others(e *harness.Ensemble, m *harness.Member) []*harness.Member {
	return slices.DeleteFunc(slices.Clone(e.Members), func(o *harness.Member) bool { return o == m })
}

// Nemesis does one fault after another, in an order and for times that come from a seed. Each fault comes
// once before any comes twice.
type Nemesis struct {
	Ensemble *harness.Ensemble
	Load     *Load
	Rand     *rand.Rand
	Longest  time.Duration // of a fault; the shortest is a third of it
	Log      func(format string, a ...any)

	deck    []Fault
	Counts  map[string]int
	Skipped map[string]int
}

// Turn does the next fault, ends it, and waits until all servers serve and clients are answered. An error
// says that they are not.
func (n *Nemesis) Turn() error {
	f := n.draw()
	if f.Cuts && n.Ensemble.Network == nil {
		n.Skipped[f.Name]++
		return nil
	}
	victim := n.Ensemble.Members[n.Rand.IntN(len(n.Ensemble.Members))]
	lasts := n.Longest/3 + time.Duration(n.Rand.Int64N(int64(n.Longest*2/3)))
	if f.Leader {
		leader, err := n.Ensemble.AwaitLeader()
		if err != nil {
			return err
		}
		victim = leader
	}
	if err := n.Load.LeaveMortal(); err != nil {
		return err
	}
	n.Load.NextGeneration()
	n.Counts[f.Name]++
	begin, before := time.Now(), n.Load.Acks()
	undo, err := f.Begin(n.Ensemble, victim)
	if err != nil {
		return fmt.Errorf("ensemble: %s: %w", f.Name, err)
	}
	time.Sleep(time.Until(begin.Add(lasts))) // how long it lasts, not whether anything is ready
	during := n.Load.Acks() - before
	if err := undo(); err != nil {
		return fmt.Errorf("ensemble: end of %s: %w", f.Name, err)
	}
	healed := time.Now()
	leader, err := n.Ensemble.AwaitLeader()
	if err != nil {
		return fmt.Errorf("after %s of %v for %v: %w", f.Name, victim, lasts, err)
	}
	if err := n.Load.AwaitProgress(20, 30*time.Second); err != nil {
		return fmt.Errorf("after %s of %v for %v: %w", f.Name, victim, lasts, err)
	}
	n.Log("%-55s %v for %5.2fs: %5d writes meanwhile; %v leads, all well %4.2fs after", f.Name, victim, lasts.Seconds(), during, leader, time.Since(healed).Seconds())
	return nil
}

// draw takes a fault from the deck, which is shuffled when it is empty.
func (n *Nemesis) draw() Fault {
	if n.Counts == nil {
		n.Counts, n.Skipped = map[string]int{}, map[string]int{}
	}
	if len(n.deck) == 0 {
		n.deck = slices.Clone(Faults)
		n.Rand.Shuffle(len(n.deck), func(i, j int) { n.deck[i], n.deck[j] = n.deck[j], n.deck[i] })
	}
	f := n.deck[0]
	n.deck = n.deck[1:]
	return f
}
