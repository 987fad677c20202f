package session

import (
	"encoding/hex"
	"math"
	"testing"
)

// Vectors taken from Apache's servers (client-protocol.md 2.5, quorum-protocol.md 5.7).
var passwords = []struct {
	id   uint64
	want string
}{
	{0x0100001024f90000, "0dbbd9e0168453dd33cd83c54f79207e"},
	{0x0100001024f9000a, "7f81b6e0d6498f7af35eefc945ae9b4c"},
	{0x0100002844b90000, "cd7f0a23d6c9dbbdf3ff339b0f95be10"},
	{0x01000024b4990000, "6d3df611f64619d493064d6b2f27da02"},
	{0x010000215b9b0000, "47a35facc8807335fd5042585112decd"},
}

func TestPasswordIsTheOneApachesServersGive(t *testing.T) {
	for _, c := range passwords {
		if got := Password(int64(c.id)); hex.EncodeToString(got[:]) != c.want {
			t.Errorf("password of %#x: got %x, want %s", c.id, got, c.want)
		}
	}
}

func TestPasswordDependsOnTheLow48BitsOnly(t *testing.T) { // fact 7
	const id = 0x0100001024f90000
	if got, want := Password(id|0x7fff<<48), Password(id); got != want {
		t.Errorf("other high bits: got %x, want %x", got, want)
	}
	for bit := range 48 {
		if Password(id^1<<bit) == Password(id) {
			t.Errorf("bit %d of the id makes no difference", bit)
		}
	}
}

func TestCheckPassword(t *testing.T) {
	const id = 0x0100001024f90000
	right := Password(id)
	wrong := right
	wrong[15] ^= 1
	zero := Password(0)
	for _, c := range []struct {
		name   string
		id     int64
		passwd []byte
		want   bool
	}{
		{"the password of the session is right", id, right[:], true},
		{"one wrong bit in the last byte is noticed", id, wrong[:], false},
		{"the password of another session is wrong", id + 1, right[:], false},
		{"a null password is wrong", id, nil, false},
		{"an empty password is wrong", id, []byte{}, false},
		{"a prefix of the password is wrong", id, right[:15], false},
		{"more than the password is wrong", id, append(right[:], 0), false},
		{"session 0 has no password that is right", 0, zero[:], false},
	} {
		if got := CheckPassword(c.id, c.passwd); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func TestNegotiateTimeout(t *testing.T) { // fact 4
	for _, c := range []struct {
		name       string
		want, held int32
	}{
		{"zero gets the minimum", 0, 4000},
		{"a negative timeout gets the minimum", -5, 4000},
		{"the most negative timeout gets the minimum", math.MinInt32, 4000},
		{"less than the minimum gets the minimum", 1, 4000},
		{"the minimum is kept", 4000, 4000},
		{"what lies between is kept", 30000, 30000},
		{"the maximum is kept", 40000, 40000},
		{"more than the maximum gets the maximum", 40001, 40000},
		{"the largest timeout gets the maximum", math.MaxInt32, 40000},
	} {
		if got := NegotiateTimeout(c.want, 4000, 40000); got != c.held {
			t.Errorf("%s: got %d, want %d", c.name, got, c.held)
		}
	}
}

func TestFirstID(t *testing.T) {
	for _, c := range []struct {
		name   string
		server uint8
		wallMS int64
		want   uint64
	}{
		{"the server's number is the top byte", 1, 0, 0x0100000000000000},
		{"the time stands above 16 zero bits", 1, 0x1024f9, 0x0100001024f90000},
		{"of the time the low 40 bits count", 2, 0x7f_00_1234567890, 0x0212345678900000 | 0},
		{"a server above 127 gives negative ids", 0xff, 1, 0xff00000000010000},
		{"the owner of containers is nobody's id", 0x80, 0, 0x8000000000000001},
	} {
		if got := FirstID(c.server, c.wallMS); uint64(got) != c.want {
			t.Errorf("%s: got %#x, want %#x", c.name, uint64(got), c.want)
		}
	}
}
