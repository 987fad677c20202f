package ensemble

import (
	"fmt"
	"math"

	"paddock/test/harness"
)

// OpKind says what a client asked for.
type OpKind uint8

// The operations on a key, which is a znode used as a register that may be missing.
const (
	OpCreate   OpKind = iota // create2
	OpSet                    // setData, whatever the version
	OpSwap                   // setData of the version read last
	OpDelete                 // of the version read last
	OpRead                   // getData
	OpSyncRead               // sync, then getData, as one operation
	OpLastRead               // the same, when nobody else does anything and no server is in trouble
	OpLedger                 // a create that is not on a key
)

var opNames = [...]string{"create", "set", "swap", "delete", "read", "sync+read", "last read", "ledger"}

func (k OpKind) String() string { return opNames[k] }

func (k OpKind) writes() bool { return k <= OpDelete || k == OpLedger }

// forever is the return time of an operation without an answer.
const forever = math.MaxInt64 - 1

// Op is an operation with all that the client knows of it.
type Op struct {
	Client   int
	Session  int64
	Server   string // which answered
	Exact    bool   // the server promises that a read shows the state at the zxid of its reply
	Kind     OpKind
	Key      string
	Value    string // to be written: no two are the same
	Expected int32  // version, of OpSwap and OpDelete
	Call     int64  // call and return by one clock that all clients share
	Return   int64  // forever, if no answer came

	Code    int32 // 0, or why it was refused
	Stamp   int64 // zxid of the reply's header
	Mzxid   int64 // of the node that was written or read; 0: not known
	Version int32 // the same
	Got     string
}

// Unknown reports whether nobody knows what became of it.
func (o *Op) Unknown() bool { return o.Return == forever }

func (o *Op) done() bool { return !o.Unknown() && o.Code == 0 }

func (o *Op) String() string {
	what := fmt.Sprintf("client %d, session %#x at %s, [%d, %d]: %v %s", o.Client, o.Session, o.Server, o.Call, o.Return, o.Kind, o.Key)
	switch {
	case o.Unknown():
		return fmt.Sprintf("%s %q version %d: no answer", what, o.Value, o.Expected)
	case o.Code != 0:
		return fmt.Sprintf("%s %q version %d: code %d, zxid %#x", what, o.Value, o.Expected, o.Code, o.Stamp)
	}
	return fmt.Sprintf("%s %q version %d: got %q version %d of %#x, zxid %#x", what, o.Value, o.Expected, o.Got, o.Version, o.Mzxid, o.Stamp)
}

// Codes that answer a question about the state.
const (
	codeNoNode     = -101
	codeBadVersion = -103
	codeNodeExists = -110
)

// definite reports whether a refusal says something about the state of the key; others are failures.
func definite(code int32) bool {
	return code == codeNoNode || code == codeBadVersion || code == codeNodeExists
}

// Opcodes.
const (
	opCreate      = 1
	opDelete      = 2
	opGetData     = 4
	opSetData     = 5
	opGetACL      = 6
	opGetChildren = 8
	opSync        = 9
	opMulti       = 14
	opCreate2     = 15
)

const flagEphemeral = 1

var anyone = harness.ACL{Perms: 31, Scheme: "world", ID: "anyone"}

func createBody(path, data string, flags int32) harness.Bytes {
	return harness.Bytes{}.Str(path).Str(data).ACLs(anyone).Int(flags)
}
