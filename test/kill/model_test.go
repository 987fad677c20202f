package kill

import (
	"fmt"

	"github.com/anishathalye/porcupine"
)

// kind of an operation on one znode.
type kind uint8

const (
	opInit kind = iota // what the main goroutine read before the clients began
	opSet              // unconditional setData
	opSwap             // setData with the version read last
	opRead             // getData
)

// input and output are what Porcupine is told of an operation.
type input struct {
	kind    kind
	key     string
	value   string
	version int32 // opSwap: expected
}

type output struct {
	unknown bool // no answer came
	refused bool // BadVersion
	value   string
	version int32
}

// state of a znode: its data and version.
type state struct {
	value   string
	version int32
}

// znode is a versioned register: what setData and getData promise on one node.
var znode = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byKey := map[string]int{}
		var parts [][]porcupine.Operation
		for _, o := range history {
			key := o.Input.(input).key
			i, ok := byKey[key]
			if !ok {
				i = len(parts)
				byKey[key] = i
				parts = append(parts, nil)
			}
			parts[i] = append(parts[i], o)
		}
		return parts
	},
	Init: func() any { return state{version: -1} },
	Step: func(s, in, out any) (bool, any) { return step(s.(state), in.(input), out.(output)) },
	DescribeOperation: func(in, out any) string {
		return fmt.Sprintf("%+v → %+v", in, out)
	},
}

func step(s state, in input, out output) (bool, any) {
	switch in.kind {
	case opInit:
		return s.version == -1, state{out.value, out.version}
	case opRead:
		return out.value == s.value && out.version == s.version, s
	case opSwap:
		fits := in.version == s.version
		if out.refused {
			return !fits, s
		}
		if !fits {
			return out.unknown, s // it may be refused unseen
		}
	}
	next := state{in.value, s.version + 1}
	return out.unknown || out.version == next.version, next
}
