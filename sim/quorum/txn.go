package quorum

import (
	"fmt"

	"paddock/wire"
)

// txn is a transaction, and all that comes before it: the end of a list. Equal lists are one pointer
// (forest), whoever made them.
type txn struct {
	zxid  wire.Zxid
	value uint64 // unique in the run, unless something goes wrong
	prev  *txn
	jump  *txn // further back, so that any ancestor is a few steps away
	n     int  // the length of the list; 0 is the root, before everything
}

// forest has every list of a run.
type forest struct {
	root  *txn
	known map[txnKey]*txn
}

type txnKey struct {
	prev  *txn
	zxid  wire.Zxid
	value uint64
}

func newForest() forest {
	root := &txn{}
	root.prev, root.jump = root, root
	return forest{root, map[txnKey]*txn{}}
}

// extend returns the list t with one more transaction.
func (f *forest) extend(t *txn, zxid wire.Zxid, value uint64) *txn {
	key := txnKey{t, zxid, value}
	if known := f.known[key]; known != nil {
		return known
	}
	next := &txn{zxid: zxid, value: value, prev: t, jump: t, n: t.n + 1}
	if t.n-t.jump.n == t.jump.n-t.jump.jump.n {
		next.jump = t.jump.jump
	}
	f.known[key] = next
	return next
}

// at returns the first n transactions of t.
func (t *txn) at(n int) *txn {
	for t.n > n {
		if t.jump.n >= n {
			t = t.jump
		} else {
			t = t.prev
		}
	}
	return t
}

// has says whether the list o is the beginning of t, or all of it.
func (t *txn) has(o *txn) bool { return o.n <= t.n && t.at(o.n) == o }

// floor returns the list up to the last transaction that is not above z.
func (t *txn) floor(z wire.Zxid) *txn {
	for t.n > 0 && t.zxid > z {
		if t.jump.zxid > z {
			t = t.jump
		} else {
			t = t.prev
		}
	}
	return t
}

// find returns the list up to z, nil where t does not have it.
func (t *txn) find(z wire.Zxid) *txn {
	if f := t.floor(z); f.zxid == z {
		return f
	}
	return nil
}

// between returns what t has behind from, in order.
func (t *txn) between(from *txn) []*txn {
	list := make([]*txn, t.n-from.n)
	for ; t.n > from.n; t = t.prev {
		list[t.n-from.n-1] = t
	}
	return list
}

// common returns what two lists begin with.
func common(a, b *txn) *txn {
	n := min(a.n, b.n)
	for a, b = a.at(n), b.at(n); a != b; {
		if a.jump != b.jump {
			a, b = a.jump, b.jump
		} else {
			a, b = a.prev, b.prev
		}
	}
	return a
}

func (t *txn) String() string { return fmt.Sprintf("%v (the %dth)", t.zxid, t.n) }

// appendTxn encodes a transaction as it travels and is logged.
func appendTxn(dst []byte, t *txn) []byte {
	h := wire.TxnHeader{ClientID: int64(t.value), Zxid: t.zxid, Type: wire.OpSetData}
	return h.Append(dst)
}

// decodeTxn reads what appendTxn wrote.
func decodeTxn(b []byte) (zxid wire.Zxid, value uint64, err error) {
	var h wire.TxnHeader
	r := wire.NewReader(b)
	err = h.Decode(&r)
	return h.Zxid, uint64(h.ClientID), err
}
