package zab

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// TestTextIsWhatJavaWrites: texts on the left were read by QuorumMaj and QuorumHierarchical of ZooKeeper
// 3.8.0 (multi-address enabled), and those on the right are what their toString gave.
func TestTextIsWhatJavaWrites(t *testing.T) {
	const four = "server.3=zoo3:2888:3888:observer\nserver.1=zoo1:2888:3888\nserver.2=zoo2:2888:3888\nserver.4=zoo4:2888:3888\n"
	const fourOut = "server.1=zoo1:2888:3888:participant\nserver.2=zoo2:2888:3888:participant\n" +
		"server.3=zoo3:2888:3888:observer\nserver.4=zoo4:2888:3888:participant\n"
	tests := []struct{ name, text, want string }{
		{"roles, client ports, IPv6 with all its zeros",
			"server.2=zoo2:2888:3888;2181\nserver.1=zoo1:2888:3888:PARTICIPANT;[::1]:2181\n" +
				"server.3=[2001:db8::0:3]:2888:3888:observer\nversion=100000003",
			"server.1=zoo1:2888:3888:participant;[0:0:0:0:0:0:0:1]:2181\nserver.2=zoo2:2888:3888:participant;0.0.0.0:2181\n" +
				"server.3=[2001:db8:0:0:0:0:0:3]:2888:3888:observer\nversion=100000003"},
		{"alternatives sorted by host, IPv4 in IPv6, wildcards",
			"server.1=b.example:2888:3888|a.example:2889:3889:participant;127.0.0.1:2181\n" +
				"server.2=[::ffff:10.0.0.2]:2888:3888\nserver.3=[::]:2888:3888:observer;2181",
			"server.1=a.example:2889:3889|b.example:2888:3888:participant;127.0.0.1:2181\n" +
				"server.2=10.0.0.2:2888:3888:participant\nserver.3=[0:0:0:0:0:0:0:0]:2888:3888:observer;0.0.0.0:2181\nversion=0"},
		{"a role that only the last alternative names, a colon without role",
			"server.1=zoo1:2888:3888|zoo2:2888:3888:observer\nserver.4=zoo4:2888:3888\nserver.5=zoo5:2888:3888:",
			"server.1=zoo1:2888:3888|zoo2:2888:3888:observer\nserver.4=zoo4:2888:3888:participant\n" +
				"server.5=zoo5:2888:3888:participant\nversion=0"},
		{"semicolons with nothing behind them",
			"server.1=zoo1:2888:3888;;", "server.1=zoo1:2888:3888:participant\nversion=0"},
		{"groups and weights", four + "group.2=4\ngroup.1=2:1\nweight.1=10\nversion=1f",
			fourOut + "group.1=1:2\ngroup.2=4\nweight.1=10\nweight.2=1\nweight.4=1\nversion=1f"},
		{"an observer in a group", four + "group.1=2:1:3\ngroup.2=4\nweight.3=7",
			fourOut + "group.1=1:2:3\ngroup.2=4\nweight.1=1\nweight.2=1\nweight.3=7\nweight.4=1\nversion=0"},
		{"a server in a group that is not listed", four + "group.1=1:2:4:9\nweight.9=3",
			fourOut + "group.1=1:2:4:9\nweight.1=1\nweight.2=1\nweight.4=1\nweight.9=3\nversion=0"},
		{"a weight of a server that is not listed", four + "group.1=1:2:4\nweight.9=3",
			fourOut + "group.1=1:2:4\nweight.1=1\nweight.2=1\nweight.4=1\nweight.9=3\nversion=0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := mustView(t, tt.text)
			if got := string(v.Text()); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
			if again := mustView(t, tt.want); again.String() != tt.want {
				t.Errorf("read and written again:\n%s\nwant\n%s", again, tt.want)
			}
		})
	}
}

// TestTextOfSecureClients: the third part is of 3.10, where the role is followed by ";;" if there is no
// plain port.
func TestTextOfSecureClients(t *testing.T) {
	const text = "server.1=zoo1:2888:3888:participant;;0.0.0.0:2281\n" +
		"server.2=zoo2:2888:3888:participant;10.0.0.2:2181;[fd00:0:0:0:0:0:0:2]:2281\nversion=0"
	v := mustView(t, text)
	if v.String() != text {
		t.Errorf("got\n%s\nwant\n%s", v, text)
	}
	if m := v.Member(1); !m.Client.None() || m.SecureClient.String() != "0.0.0.0:2281" {
		t.Errorf("server 1: %+v", m)
	}
	if m := v.Member(2); m.Client.String() != "10.0.0.2:2181" || m.SecureClient.String() != "[fd00::2]:2281" {
		t.Errorf("server 2: %+v", m)
	}
}

func TestParseMember(t *testing.T) {
	tests := []struct{ name, value, want string }{
		{"the old form", "zoo1:2888:3888", "participant [zoo1:2888+3888] - -"},
		{"a client port", "zoo1:2888:3888;2181", "participant [zoo1:2888+3888] 0.0.0.0:2181 -"},
		{"a client address", "zoo1:2888:3888:participant;10.0.0.1:2181", "participant [zoo1:2888+3888] 10.0.0.1:2181 -"},
		{"a role in capitals", "zoo1:2888:3888:OBSERVER;2181", "observer [zoo1:2888+3888] 0.0.0.0:2181 -"},
		{"a secure client port only", "zoo1:2888:3888;;2281", "participant [zoo1:2888+3888] - 0.0.0.0:2281"},
		{"both", "zoo1:2888:3888;2181;a:2281", "participant [zoo1:2888+3888] 0.0.0.0:2181 a:2281"},
		{"IPv6", "[2001:DB8:0::1]:2888:3888;[::]:2181", "participant [[2001:db8::1]:2888+3888] [::]:2181 -"},
		{"IPv6 with a zone", "[fe80::1%eth0]:2888:3888", "participant [[fe80::1%eth0]:2888+3888] - -"},
		{"alternatives", "b:1:2|a:3:4|[::1]:5:6", "participant [[::1]:5+6 a:3+4 b:1+2] - -"},
		{"blanks around the parts", " zoo1 : 2888 : 3888 ; 2181 ", "participant [zoo1:2888+3888] 0.0.0.0:2181 -"},
		{"a name with an underscore", "zoo_1.ns.svc:2888:3888", "participant [zoo_1.ns.svc:2888+3888] - -"},
		{"the whole host", "0.0.0.0:2888:3888;2181", "participant [0.0.0.0:2888+3888] 0.0.0.0:2181 -"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := ParseMember(5, tt.value, true)
			if err != nil || m.ID != 5 {
				t.Fatalf("got %+v, %v", m, err)
			}
			if got := describe(&m); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func describe(m *Member) string {
	var peers []string
	for _, p := range m.Peers {
		peers = append(peers, fmt.Sprintf("%v+%d", p.Quorum(), p.ElectionPort))
	}
	show := func(a Addr) string {
		if a.None() {
			return "-"
		}
		return a.String()
	}
	return fmt.Sprintf("%v %v %s %s", m.Role, peers, show(m.Client), show(m.SecureClient))
}

func TestParseMemberRefuses(t *testing.T) {
	tests := []struct{ name, value, want string }{
		{"nothing", "", `"" does not begin with host:port`},
		{"no port", "zoo1", `"zoo1" does not begin with host:port`},
		{"no host", ":2888:3888", `":2888:3888" does not begin with host:port`},
		{"no election port", "zoo1:2888", `"zoo1:2888" is not host:quorumPort:electionPort[:role] (for example zoo1:2888:3888)`},
		{"a client port behind a colon", "zoo1:2888:3888:participant:2181",
			`"zoo1:2888:3888:participant:2181" is not host:quorumPort:electionPort[:role] (an IPv6 address stands in brackets: [::1]:2888:3888)`},
		{"IPv6 without brackets", "fd00::1:2888:3888",
			`"fd00::1:2888:3888" is not host:quorumPort:electionPort[:role] (an IPv6 address stands in brackets: [::1]:2888:3888)`},
		{"a bracket that does not close", "[::1:2888:3888", `"[::1:2888:3888" does not begin with [IPv6 address]:port`},
		{"brackets around a name", "[zoo1]:2888:3888", `"[zoo1]:2888:3888" does not begin with [IPv6 address]:port`},
		{"one port for both", "zoo1:2888:2888", "quorum and election port are both 2888"},
		{"a port that is none", "zoo1:99999:3888", `"99999" is not a port (1 to 65535)`},
		{"port 0", "zoo1:2888:0", `"0" is not a port (1 to 65535)`},
		{"a port with a sign", "zoo1:+2888:3888", `"+2888" is not a port (1 to 65535)`},
		{"a role that is none", "zoo1:2888:3888:learner", `"learner" is neither participant nor observer`},
		{"a client port that is none", "zoo1:2888:3888;client", `"client" is not a port (1 to 65535)`},
		{"too many semicolons", "zoo1:2888:3888;1;2;3", "more than two ';' (want host:2888:3888;clientPort;secureClientPort)"},
		{"two roles", "a:1:2:observer|b:1:2:participant", "the addresses of one server have different roles"},
		{"one alternative twice", "a:1:2|A:1:3", "the quorum address a:1 is there twice"},
		{"a client on the quorum port", "a:2888:3888;2888", "the quorum address a:2888 is in the way of the client address 0.0.0.0:2888"},
		{"one client port for plain and TLS", "a:2888:3888;2181;2181",
			"the client address 0.0.0.0:2181 is in the way of the secure client address 0.0.0.0:2181"},
		{"a blank in a name", "zoo 1:2888:3888", `"zoo 1" is not a host name`},
		{"a comma behind", "zoo1,zoo2:2888:3888", `"zoo1,zoo2" is not a host name`},
		{"what is no UTF-8", "\xff:2888:3888", `"\xff" is not a host name`},
		{"a name without end", strings.Repeat("a", 256) + ":1:2", "a host name of 256 bytes (want 1 to 255)"},
		{"alternatives without end", strings.Repeat("a:1:2|", 64) + "a:1:2", "65 addresses of one server, more than 64"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if m, err := ParseMember(1, tt.value, true); err == nil || err.Error() != tt.want {
				t.Errorf("got %+v, %v, want %s", m, err, tt.want)
			}
		})
	}
	if _, err := ParseMember(1, "a:1:2|b:1:2", false); err == nil || err.Error() != "more than one address needs multiAddress.enabled=true" {
		t.Errorf("alternatives without multi-address: %v", err)
	}
}

func TestParseViewReadsProperties(t *testing.T) {
	want := mustView(t, lines(2, 0)+"version=a")
	tests := []struct{ name, text string }{
		{"comments and blank lines", "# one\n\n ! two\nserver.1=zoo1:2888:3888\n\t\nserver.2=zoo2:2888:3888\nversion=a\n"},
		{"colons and blanks for separators", "server.1:zoo1:2888:3888\nserver.2 zoo2:2888:3888\nversion = A"},
		{"escaped colons, as Java stores them", `server.1=zoo1\:2888\:3888\:participant` + "\nserver.2=zoo2\\:2888\\:3888\nversion=a"},
		{"CRLF and CR", "server.1=zoo1:2888:3888\r\nserver.2=zoo2:2888:3888\rversion=a"},
		{"a continued line", "server.1=zoo1:\\\n    2888:3888\nserver.2=zoo2:2888:3888\nversion=a"},
		{"an escaped rune", "server.1=\\u007aoo1:2888:3888\nserver.2=zoo2:2888:3888\nversion=a"},
		{"an id with zeros", "server.01=zoo1:2888:3888\nserver.+2=zoo2:2888:3888\nversion=0a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if v := mustView(t, tt.text); v.String() != want.String() {
				t.Errorf("got\n%s\nwant\n%s", v, want)
			}
		})
	}
}

func TestParseViewRefuses(t *testing.T) {
	three := lines(3, 0)
	tests := []struct{ name, text, want string }{
		{"nothing", "", "zab: view: there is no server"},
		{"a key of the static file", three + "clientPort=2181", `zab: view: line 4: "clientPort" is not server.N, group.N, weight.N or version`},
		{"an id that is none", "server.one=a:1:2", `zab: view: line 1: "server.one": want server. and a whole number`},
		{"a group without a dot", three + "group1=1:2:3", `zab: view: line 4: "group1" is not server.N, group.N, weight.N or version`},
		{"a line that does not parse", "\n\nserver.1=a:1", `zab: view: line 3: server.1: "a:1" is not host:quorumPort:electionPort[:role] (for example zoo1:2888:3888)`},
		{"a version that is none", three + "version=0x1", `zab: view: line 4: version "0x1" is not a hexadecimal number`},
		{"a version that is too large", three + "version=8000000000000000", `zab: view: line 4: version "8000000000000000" is not a hexadecimal number`},
		{"two versions", three + "version=1\nversion=1", "zab: view: line 5: there are two versions"},
		{"a server twice", three + "server.01=a:1:2", "zab: view: server.1: this server is listed twice"},
		{"observers only", lines(0, 2), "zab: view: server.1: an observer needs participants to observe, and there is none"},
		{"two servers with one quorum address", "server.1=a:1:2\nserver.2=A:1:3",
			"zab: view: server.2: its quorum address a:1 is the quorum address of server 1"},
		{"an election port that is another's quorum port", "server.1=127.0.0.1:1:2\nserver.2=127.0.0.1:3:1",
			"zab: view: server.2: its election address 127.0.0.1:1 is the quorum address of server 1"},
		{"two servers with one client address", "server.1=a:1:2;10.0.0.1:2181\nserver.2=b:1:2;10.0.0.1:2181",
			"zab: view: server.2: its client address 10.0.0.1:2181 is the client address of server 1"},
		{"a participant without group", three + "group.1=1:2",
			"zab: view: server.3: a participant in no group: with groups or weights each needs one (group.1=1:2:3)"},
		{"weights without groups", three + "weight.1=2",
			"zab: view: server.1: a participant in no group: with groups or weights each needs one (group.1=1:2:3); " +
				"server.2: a participant in no group: with groups or weights each needs one (group.1=1:2:3); " +
				"server.3: a participant in no group: with groups or weights each needs one (group.1=1:2:3)"},
		{"two groups for one server", three + "group.1=1:2\ngroup.2=2:3", "zab: view: group.2: server 2 is in a group already"},
		{"a server twice in one group", three + "group.1=1:2:3:3", "zab: view: group.1: server 3 is in a group already"},
		{"a group of who is not there", three + "group.1=1:2:3:4", "zab: view: group.1: there is no server 4"},
		{"an observer in a group", lines(2, 1) + "group.1=1:2:3",
			"zab: view: group.1: server 3 is an observer, which has no vote (take it out of the group)"},
		{"a thousand mistakes", lines(1000, 0) + "weight.1=1", "zab: view: " +
			strings.Join(repeat(8, "server.%d: a participant in no group: with groups or weights each needs one (group.1=1:2:3)"), "; ") + "; and 992 more"},
		{"nobody weighs anything", lines(1, 0) + "group.1=1\nweight.1=0", "zab: view: all servers weigh 0: no set of them is a quorum"},
		{"a group that is no list", three + "group.1=1,2,3", `zab: view: line 4: group.1: "1,2,3" is not a list of server ids (for example 1:2:3)`},
		{"a weight that is none", three + "weight.1=-1", `zab: view: line 4: weight.1: "-1" is not a weight (a whole number, 0 to 4294967296)`},
		{"a bad escape", `server.1=\u12`, `zab: view: line 1: \u needs four hexadecimal digits`},
		{"half of a pair of surrogates", `server.1=\ud800:1:2`, `zab: view: line 1: server.1: "�" is not a host name`},
		{"what is no UTF-8", "server.1=\xff:1:2", "zab: a view that is not UTF-8"},
		{"more than any ensemble needs", strings.Repeat("#", maxTextBytes+1), "zab: a view of 524289 bytes, more than 524288"},
		{"more servers than any ensemble has", lines(1001, 0), "zab: view: line 1001: server.1001: more than 1000 servers"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if v, err := ParseView([]byte(tt.text)); err == nil || err.Error() != tt.want {
				t.Errorf("got %v, %v, want %s", v, err, tt.want)
			}
		})
	}
}

func TestParseViewTakesTheLargestEnsemble(t *testing.T) {
	text := lines(500, 500) + "version=7fffffffffffffff"
	v := mustView(t, text)
	if v.String() != text {
		t.Error("1000 servers are not what they were")
	}
	parts := strings.Repeat(`a\`+"\n", maxTextBytes/4)
	if _, err := ParseView([]byte(parts)); err == nil {
		t.Error("a line continued without end is a view")
	}
}

func repeat(n int, format string) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf(format, i+1))
	}
	return all
}

func FuzzParseView(f *testing.F) {
	f.Add([]byte(lines(2, 1) + "version=100000003"))
	f.Add([]byte("server.1=[::1]:1:2|b:1:2:observer;2181;2281\nserver.2=a:1:2"))
	f.Add([]byte(lines(3, 1) + "group.1=1:2:3:4\nweight.4=3\nversion=1f"))
	f.Add([]byte("server.1 \\u0061\\:1:\\\n 2\r! x\nversion:0"))
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := ParseView(text)
		if err != nil {
			if v != nil || err.Error() == "" {
				t.Fatalf("error %v with a view %v", err, v)
			}
			return
		}
		w, err := ParseView(v.Text())
		if err != nil || !w.Same(v) || w.Version != v.Version || !bytes.Equal(w.Text(), v.Text()) {
			t.Fatalf("%q was read as\n%s\nand that as\n%s (%v)", text, v, w, err)
		}
		if v.Quorum(IDSet{}) {
			t.Fatalf("nobody is a quorum of\n%s", v)
		}
	})
}

func FuzzParseMember(f *testing.F) {
	for _, s := range []string{"zoo1:2888:3888;2181", "[::1]:1:2:observer;;[::]:3", "a:1:2|b:3:4", "[fe80::1%a]:1:2"} {
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, value string, multi bool) {
		m, err := ParseMember(1, value, multi)
		if err != nil {
			return
		}
		text := string(m.AppendText(nil))
		again, err := ParseMember(1, text, multi)
		if err != nil || !again.same(&m) || string(again.AppendText(nil)) != text {
			t.Fatalf("%q was read as %q, and that as %+v, %v", value, text, again, err)
		}
	})
}
