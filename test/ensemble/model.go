package ensemble

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// register is the state of a key.
type register struct {
	exists  bool
	value   string
	version int32
}

// model is a versioned register that may be missing: what create, setData, delete and getData promise on
// one znode.
var model = porcupine.Model{
	Partition: byKey,
	Init:      func() any { return register{} },
	Step: func(s, in, _ any) (bool, any) {
		return step(s.(register), in.(*Op))
	},
	DescribeOperation: func(in, _ any) string { return in.(*Op).String() },
}

func byKey(history []porcupine.Operation) (parts [][]porcupine.Operation) {
	index := map[string]int{}
	for _, o := range history {
		key := o.Input.(*Op).Key
		i, ok := index[key]
		if !ok {
			i = len(parts)
			index[key] = i
			parts = append(parts, nil)
		}
		parts[i] = append(parts[i], o)
	}
	return parts
}

// step says whether o may be the next operation on a register, and what it leaves. A refusal is an
// observation. What has no answer may also have been refused, or take place when all is over.
func step(s register, o *Op) (bool, register) {
	next, code := apply(s, o)
	switch {
	case o.Unknown():
		return true, next
	case o.Code != code:
		return false, s
	case code != 0:
		return true, s
	case o.Kind == OpSet || o.Kind == OpSwap || o.Kind == OpCreate:
		return o.Version == next.version, next
	case o.Kind == OpDelete:
		return true, next
	}
	return o.Got == s.value && o.Version == s.version, s
}

// apply is what a server does with o.
func apply(s register, o *Op) (next register, code int32) {
	if o.Kind == OpCreate {
		if s.exists {
			return s, codeNodeExists
		}
		return register{exists: true, value: o.Value}, 0
	}
	fits := o.Kind != OpSwap && o.Kind != OpDelete || o.Expected == s.version
	switch {
	case !s.exists:
		return s, codeNoNode
	case !fits:
		return s, codeBadVersion
	case o.Kind == OpDelete:
		return register{}, 0
	case o.Kind == OpSet || o.Kind == OpSwap:
		return register{true, o.Value, s.version + 1}, 0
	}
	return s, 0
}

// Verdict is what Porcupine says of a history.
type Verdict struct {
	Keys, Ops        int
	Illegal, Unended int // keys
	Why              []string
}

// searchFor is how long Porcupine may search in the history of a key.
const searchFor = 60 * time.Second

// linearizable checks those operations that only the kinds given do, key by key.
func linearizable(ops []Op, kinds ...OpKind) (v Verdict) {
	var history []porcupine.Operation
	for i := range ops {
		o := &ops[i]
		if !slices.Contains(kinds, o.Kind) || o.Unknown() && !o.Kind.writes() {
			continue // a read without an answer says nothing
		}
		history = append(history, porcupine.Operation{ClientId: o.Client, Input: o, Call: o.Call, Return: o.Return})
	}
	v.Ops = len(history)
	for _, part := range byKey(history) {
		v.Keys++
		switch porcupine.CheckOperationsTimeout(model, part, searchFor) {
		case porcupine.Unknown:
			v.Unended++
			v.Why = append(v.Why, fmt.Sprintf("the search in %d operations on %s did not end", len(part), part[0].Input.(*Op).Key))
		case porcupine.Illegal:
			v.Illegal++
			v.Why = append(v.Why, fmt.Sprintf("the history of %s is not linearizable:\n%s", part[0].Input.(*Op).Key, transcript(part)))
		}
	}
	return v
}

// transcript prints a history in the order of calls, cut to what people read.
func transcript(part []porcupine.Operation) string {
	part = slices.Clone(part)
	slices.SortFunc(part, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
	const keep = 400
	var b strings.Builder
	if len(part) > keep {
		fmt.Fprintf(&b, "  (%d operations before these)\n", len(part)-keep)
		part = part[len(part)-keep:]
	}
	for _, o := range part {
		fmt.Fprintf(&b, "  %v\n", o.Input.(*Op))
	}
	return b.String()
}
