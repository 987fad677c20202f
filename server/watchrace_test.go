package server

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"paddock/test/harness"
	"paddock/wire"
)

// reader keeps what a session knows about its one-shot data watches, and checks every message.
type reader1 struct {
	p       *peer
	armedAt map[string]int64 // path → zxid of the reply that armed it
	most    int64            // highest zxid of a reply
	lastEv  int64
	events  int
	asked   map[int32]string // xid → path, of reads with a watch on their way
}

func (w *reader1) event(e *harness.Event) error {
	at, armed := w.armedAt[e.Path]
	switch {
	case !armed:
		return fmt.Errorf("W1, W4: event %+v, and nothing watches", *e)
	case e.Zxid <= at:
		return fmt.Errorf("W1: event at %#x for a watch armed at %#x", e.Zxid, at)
	case w.most >= e.Zxid:
		return fmt.Errorf("W2: a reply stamped %#x came before the event at %#x", w.most, e.Zxid)
	case e.Zxid < w.lastEv:
		return fmt.Errorf("W3: event at %#x after one at %#x", e.Zxid, w.lastEv)
	}
	delete(w.armedAt, e.Path)
	w.lastEv = e.Zxid
	w.events++
	return nil
}

func (w *reader1) reply(r *harness.Reply) error {
	if r.Zxid < w.most {
		return fmt.Errorf("S3: zxid went back from %#x to %#x", w.most, r.Zxid)
	}
	w.most = r.Zxid
	path, read := w.asked[r.Xid]
	if !read {
		return nil
	}
	delete(w.asked, r.Xid)
	f := harness.FieldsOf(r.Body)
	f.Buf()
	st := f.Stat()
	if f.Err() != nil || r.Err != 0 {
		return fmt.Errorf("read: code %d, %w", r.Err, f.Err())
	}
	if st.Mzxid > r.Zxid {
		return fmt.Errorf("R8: a reply stamped %#x shows %s as of %#x", r.Zxid, path, st.Mzxid)
	}
	if at, armed := w.armedAt[path]; armed {
		if st.Mzxid > at {
			return fmt.Errorf("W5: %s changed at %#x, is watched since %#x, and no event came", path, st.Mzxid, at)
		}
		return nil // armed already: the older watch stands
	}
	w.armedAt[path] = r.Zxid
	return nil
}

// Events come before the data that they announce, whatever loops, writers and riding reads do at the
// same time (event-before-data, W1 to W5 for one-shot watches).
func TestEventsComeBeforeTheData(t *testing.T) {
	s := start(t)
	const nodes, writers, readers = 4, 3, 6
	setup := open(t, s)
	node := func(i int) string { return fmt.Sprintf("/n%d", i%nodes) }
	for i := range nodes {
		setup.create(node(i), nil)
	}
	var over atomic.Bool
	var writing, reading sync.WaitGroup
	for i := range writers {
		p := open(t, s)
		writing.Go(func() {
			for n := 0; !over.Load(); n++ {
				op, body := wire.OpSetData, setBody(node(n+i), fmt.Append(nil, n))
				if n%5 == 4 { // two nodes of two shards at one zxid
					op = wire.OpMulti
					body = harness.Bytes(nil)
					for j := range 2 {
						body = body.Int(int32(wire.OpSetData)).Bool(false).Int(-1).Raw(setBody(node(n+j), nil)...)
					}
					body = body.Int(-1).Bool(true).Int(-1)
				}
				p.xid++
				if err := p.Write(frame(p.xid, op, body)); err != nil {
					t.Error(err)
					return
				}
				if r, err := p.ReadReply(); err != nil || r.Err != 0 {
					t.Errorf("write: %+v, %v", r, err)
					return
				}
			}
		})
	}
	events := atomic.Int64{}
	for i := range readers {
		w := &reader1{p: open(t, s), armedAt: map[string]int64{}, asked: map[int32]string{}}
		own := fmt.Sprintf("/own%d", i)
		w.p.create(own, nil)
		reading.Go(func() {
			for n := 0; !over.Load(); n++ {
				// A burst of reads; for every other reader they ride behind a write of its own.
				var burst []byte
				sent := 0
				for j := range 1 + n%4 {
					if i%2 == 0 && (n+j)%3 == 0 {
						w.p.xid++
						burst = append(burst, frame(w.p.xid, wire.OpSetData, setBody(own, nil))...)
						sent++
					}
					w.p.xid++
					w.asked[w.p.xid] = node(n + j)
					burst = append(burst, frame(w.p.xid, wire.OpGetData, readBody(node(n+j), true))...)
					sent++
				}
				if err := w.p.Write(burst); err != nil {
					t.Error(err)
					return
				}
				for sent > 0 {
					r, e, err := w.p.Next()
					switch {
					case err != nil:
					case e != nil:
						err = w.event(e)
					default:
						sent--
						err = w.reply(r)
					}
					if err != nil {
						t.Errorf("reader %d: %v", i, err)
						over.Store(true)
						return
					}
				}
			}
			events.Add(int64(w.events))
		})
	}
	time.Sleep(1500 * time.Millisecond) // of load
	over.Store(true)
	writing.Wait()
	reading.Wait()
	t.Logf("%d events", events.Load())
	if events.Load() < 100 && !t.Failed() {
		t.Error("too few events: this run shows nothing")
	}
}
