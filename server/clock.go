package server

import (
	"sync/atomic"
	"time"
)

// clock is what the stages know of time: values stored by one goroutine, read by everybody.
type clock struct {
	now     func() time.Time
	start   time.Time
	wall    atomic.Int64 // ms since 1970: stamps of znodes, nothing else
	mono    atomic.Int64 // ms since start: latencies
	session atomic.Int64 // ms the sessions have lived
}

const (
	clockStep = 10 * time.Millisecond
	// maxStep is the longest step the sessions' clock takes. A process that was stopped, or a machine that
	// was asleep, must not find all its sessions expired when it comes back: nobody could have pinged it.
	maxStep = 500 * time.Millisecond
)

func newClock(now func() time.Time) *clock {
	c := &clock{now: now, start: now()}
	c.wall.Store(c.start.UnixMilli())
	return c
}

// step takes the time. It is called every clockStep, by one goroutine.
func (c *clock) step(now time.Time) {
	mono := now.Sub(c.start).Milliseconds()
	since := mono - c.mono.Load()
	c.wall.Store(now.UnixMilli())
	c.mono.Store(mono)
	c.session.Add(min(since, maxStep.Milliseconds()))
}

func (c *clock) wallMS() int64    { return c.wall.Load() }
func (c *clock) serverMS() int64  { return c.mono.Load() }
func (c *clock) sessionMS() int64 { return c.session.Load() }
