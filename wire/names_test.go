package wire

import (
	"errors"
	"fmt"
	"testing"
)

func TestNames(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{OpGetChildren2.String(), "getChildren2"},
		{OpCloseSession.String(), "closeSession"},
		{Op(10).String(), "op 10"},
		{NoNode.String(), "NoNode(-101)"},
		{SessionClosedRequireSaslAuth.Error(), "SessionClosedRequireSaslAuth(-124)"},
		{Code(-126).String(), "Code(-126)"},
		{Zxid(0x100000002).String(), "0x100000002"},
		{Zxid(-1).String(), "0xffffffffffffffff"},
		{EventNodeCreated.String(), "NodeCreated"},
		{EventNodeDeleted.String(), "NodeDeleted"},
		{EventNodeDataChanged.String(), "NodeDataChanged"},
		{EventNodeChildrenChanged.String(), "NodeChildrenChanged"},
		{EventType(5).String(), "EventType(5)"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

func TestZxidHasEpochAndCounter(t *testing.T) {
	z := Zxid(-0x7fff_fffe_ffff_fffd) // epoch 0x80000001, which is negative as a Java long
	if z.Epoch() != 0x80000001 || z.Counter() != 3 {
		t.Errorf("%v: epoch %#x counter %d", z, z.Epoch(), z.Counter())
	}
}

func TestACodeIsAnErrorThatCanBeAskedFor(t *testing.T) {
	if err := fmt.Errorf("create: %w", NodeExists); !errors.Is(err, NodeExists) || errors.Is(err, NoNode) {
		t.Errorf("%v", err)
	}
}

// The numbers are the protocol; they are written out a second time so that no edit moves one.
func TestNumbers(t *testing.T) {
	for op, name := range map[Op]string{
		0: "notification", 1: "create", 2: "delete", 3: "exists", 4: "getData", 5: "setData", 6: "getACL", 7: "setACL",
		8: "getChildren", 9: "sync", 11: "ping", 12: "getChildren2", 13: "check", 14: "multi", 15: "create2", 16: "reconfig",
		17: "checkWatches", 18: "removeWatches", 19: "createContainer", 20: "deleteContainer", 21: "createTTL",
		22: "multiRead", 100: "auth", 101: "setWatches", 102: "sasl", 103: "getEphemerals", 104: "getAllChildrenNumber",
		105: "setWatches2", 106: "addWatch", 107: "whoAmI", -10: "createSession", -11: "closeSession", -1: "error",
	} {
		if op.String() != name {
			t.Errorf("op %d is %v, want %s", int32(op), op, name)
		}
	}
	for code, name := range map[Code]string{
		0: "OK", -1: "SystemError", -2: "RuntimeInconsistency", -3: "DataInconsistency", -4: "ConnectionLoss",
		-5: "MarshallingError", -6: "Unimplemented", -7: "OperationTimeout", -8: "BadArguments", -12: "UnknownSession",
		-13: "NewConfigNoQuorum", -14: "ReconfigInProgress", -100: "APIError", -101: "NoNode", -102: "NoAuth",
		-103: "BadVersion", -108: "NoChildrenForEphemerals", -110: "NodeExists", -111: "NotEmpty",
		-112: "SessionExpired", -113: "InvalidCallback", -114: "InvalidACL", -115: "AuthFailed", -118: "SessionMoved",
		-119: "NotReadOnly", -120: "EphemeralOnLocalSession", -121: "NoWatcher", -122: "RequestTimeout",
		-123: "ReconfigDisabled", -124: "SessionClosedRequireSaslAuth", -125: "QuotaExceeded", -127: "ThrottledOp",
	} {
		if want := fmt.Sprintf("%s(%d)", name, int32(code)); code.String() != want {
			t.Errorf("code %d is %v, want %s", int32(code), code, want)
		}
	}
}

func TestWords(t *testing.T) {
	for _, w := range []string{
		"conf", "cons", "crst", "dirs", "dump", "envi", "gtmk", "hash", "isro", "mntr", "ruok", "srst", "srvr", "stat",
		"stmk", "wchc", "wchp", "wchs", "\xff\xf4\xff\xfd",
	} {
		if !IsWord([4]byte([]byte(w))) {
			t.Errorf("%q is no word", w)
		}
	}
	for _, w := range []string{"kill", "reqs", "abcd", "RUOK", "ruoK", "\x00\x00\x00\x2d", "\x00\x0f\xff\xff", "\xff\xff\xff\xff"} {
		if IsWord([4]byte([]byte(w))) {
			t.Errorf("%q is a word", w)
		}
	}
}
