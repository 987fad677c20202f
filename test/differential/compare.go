package differential

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"paddock/test/harness"
)

// pair is two running servers that are asked the same. Owned by one goroutine.
type pair struct {
	targets [2]*harness.Target
	servers [2]*harness.Server
	streams int // how many streams they have seen
}

func startPair(targets [2]*harness.Target) (*pair, error) {
	p := &pair{targets: targets}
	for i, t := range targets {
		srv, err := t.Start(settings)
		if err != nil {
			p.close()
			return nil, err
		}
		p.servers[i] = srv
	}
	return p, nil
}

func (p *pair) close() {
	for _, s := range p.servers {
		if s != nil {
			s.Close()
		}
	}
}

// difference is the first place where two transcripts part.
type difference struct {
	step int // its index; len(stream) and above is what is asked at the end
	said [2]string
}

// compare plays stream on both servers side by side and returns the first difference, nil if none.
func (p *pair) compare(stream []step) (*difference, error) {
	p.streams++
	root := fmt.Sprintf("/d%05d", p.streams)
	var said [2]transcript
	var errs [2]error
	var both sync.WaitGroup
	for i, s := range p.servers {
		both.Go(func() { said[i], errs[i] = play(s, root, stream) })
	}
	both.Wait()
	if d := firstDifference(said, errs); d != nil {
		return d, nil
	}
	return nil, errors.Join(errs[0], errs[1])
}

func firstDifference(said [2]transcript, errs [2]error) *difference {
	for i := range min(len(said[0]), len(said[1])) {
		a, b := strings.Join(said[0][i], "\n"), strings.Join(said[1][i], "\n")
		if a != b {
			return &difference{i, [2]string{a, b}}
		}
	}
	if len(said[0]) == len(said[1]) {
		return nil
	}
	d := &difference{step: min(len(said[0]), len(said[1]))}
	for i := range said {
		if errs[i] != nil {
			d.said[i] = errs[i].Error()
		} else if d.step < len(said[i]) {
			d.said[i] = strings.Join(said[i][d.step], "\n")
		}
	}
	return d
}

// compareFunc plays a stream and returns the first difference, nil if none.
type compareFunc func([]step) (*difference, error)

// shrink returns a short stream that still differs, and how. It drops what follows the difference, then
// ever smaller pieces, then the parts of bursts and multis, for at most tries comparisons.
func shrink(stream []step, d *difference, compare compareFunc, tries int) ([]step, *difference) {
	differs := func(candidate []step) bool {
		if tries <= 0 {
			return false
		}
		tries--
		got, err := compare(candidate)
		if err != nil || got == nil {
			return false
		}
		stream, d = candidate, got
		return true
	}
	if d.step+1 < len(stream) {
		differs(without(stream, d.step+1, len(stream)))
	}
	for size := max(len(stream)/2, 1); size > 0; size /= 2 {
		for end := len(stream); end > 0; end = min(end-size, len(stream)) {
			differs(without(stream, max(end-size, 0), end))
		}
	}
	for i := 0; i < len(stream); i++ {
		for _, lighter := range stream[i].lighter() {
			candidate := append([]step(nil), stream...)
			candidate[i] = lighter
			if differs(candidate) {
				i-- // the same step once more
				break
			}
		}
	}
	return stream, d
}

func without(stream []step, from, to int) []step {
	return append(append([]step(nil), stream[:from]...), stream[to:]...)
}

// lighter returns s with one request of a burst, or one part of a multi, left out.
func (s step) lighter() (all []step) {
	for i := range s.reqs {
		if len(s.reqs) > 1 {
			l := s
			l.reqs = append(append([]req(nil), s.reqs[:i]...), s.reqs[i+1:]...)
			all = append(all, l)
		}
		for j := range s.reqs[i].parts {
			l := s
			l.reqs = append([]req(nil), s.reqs...)
			parts := s.reqs[i].parts
			l.reqs[i].parts = append(append([]req(nil), parts[:j]...), parts[j+1:]...)
			all = append(all, l)
		}
	}
	return all
}

// describe prints a stream with the place where it differs.
func (p *pair) describe(stream []step, d *difference) string {
	var b strings.Builder
	for i, s := range stream {
		fmt.Fprintf(&b, "%4d  %v\n", i, s)
	}
	what := "what is asked at the end"
	if d.step < len(stream) {
		what = fmt.Sprintf("step %d", d.step)
	}
	fmt.Fprintf(&b, "differs in %s:\n", what)
	for i, t := range p.targets {
		fmt.Fprintf(&b, "%s %v:\n\t%s\n", t.Name, t.Version, strings.ReplaceAll(d.said[i], "\n", "\n\t"))
	}
	return b.String()
}
