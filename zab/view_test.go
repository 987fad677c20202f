package zab

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"paddock/wire"
)

func mustView(t testing.TB, text string) *View {
	t.Helper()
	v, err := ParseView([]byte(text))
	if err != nil {
		t.Fatalf("ParseView(%q): %v", text, err)
	}
	return v
}

// lines returns server lines for participants 1 to n, and then for observers.
func lines(participants, observers int) string {
	var b strings.Builder
	for i := 1; i <= participants+observers; i++ {
		role := Participant
		if i > participants {
			role = Observer
		}
		fmt.Fprintf(&b, "server.%d=zoo%d:2888:3888:%v\n", i, i, role)
	}
	return b.String()
}

func TestQuorum(t *testing.T) {
	groups := "group.1=1:2:3\ngroup.2=4:5:6\ngroup.3=7:8:9\n"
	tests := []struct {
		name string
		view string
		ids  []ServerID
		want bool
	}{
		{"nobody is no quorum", lines(1, 0), nil, false},
		{"one of one", lines(1, 0), []ServerID{1}, true},
		{"one of two", lines(2, 0), []ServerID{1}, false},
		{"two of two", lines(2, 0), []ServerID{1, 2}, true},
		{"two of three", lines(3, 0), []ServerID{1, 3}, true},
		{"two of four", lines(4, 0), []ServerID{1, 3}, false},
		{"three of five", lines(5, 0), []ServerID{5, 3, 1}, true},
		{"observers do not count", lines(3, 2), []ServerID{1, 4, 5}, false},
		{"strangers do not count", lines(3, 0), []ServerID{1, 77, -1}, false},
		{"two groups of three, two of three in each", lines(9, 0) + groups, []ServerID{1, 2, 8, 9}, true},
		{"one whole group, and a minority of each other", lines(9, 0) + groups, []ServerID{1, 2, 3, 4, 7}, false},
		{"five of nine without two groups", lines(9, 0) + groups, []ServerID{1, 2, 3, 4, 7}, false},
		{"all of one group is not enough", lines(9, 0) + groups, []ServerID{7, 8, 9}, false},
		{"a group of weight 0 is not counted", lines(9, 0) + groups + "weight.7=0\nweight.8=0\nweight.9=0\n",
			[]ServerID{1, 2, 4, 5}, true},
		{"of two counted groups one is not enough", lines(9, 0) + groups + "weight.7=0\nweight.8=0\nweight.9=0\n",
			[]ServerID{1, 2, 3, 7, 8, 9}, false},
		{"a heavy server is a quorum by itself", lines(3, 0) + "group.1=1:2:3\nweight.1=10\n", []ServerID{1}, true},
		{"and the others are none without it", lines(3, 0) + "group.1=1:2:3\nweight.1=10\n", []ServerID{2, 3}, false},
		{"half of the weight is not enough", lines(2, 0) + "group.1=1:2\n", []ServerID{1}, false},
		{"half of an odd weight is rounded down", lines(3, 0) + "group.1=1:2:3\nweight.1=2\nweight.2=2\n", []ServerID{1, 3}, true},
		{"an observer's weight makes its group harder to win", lines(3, 1) + "group.1=1:2:3:4\nweight.4=3\n", []ServerID{1, 2, 3}, false},
		{"and its own vote does not count", lines(3, 1) + "group.1=1:2:3:4\nweight.4=3\n", []ServerID{1, 2, 3, 4}, false},
		{"a server that was struck off still weighs", lines(3, 0) + "group.1=1:2:3:9\nweight.9=3\n", []ServerID{1, 2, 3, 9}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := mustView(t, tt.view).Quorum(NewIDSet(tt.ids...)); got != tt.want {
				t.Errorf("Quorum(%v) = %v, want %v", tt.ids, got, tt.want)
			}
		})
	}
}

func TestMembership(t *testing.T) {
	v := mustView(t, "server.5=e:1:2\nserver.-3=c:1:2:observer\nserver.1=a:1:2\nserver.9=i:1:2:observer\nversion=1f")
	got := fmt.Sprint(v.Len(), v.Voters(), v.Observers(), v.Version, v.Hierarchical(), v.Voter(1), v.Voter(9), v.Voter(2))
	if want := "4 [1 5] [-3 9] 0x1f false true false false"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if m := v.Member(9); m == nil || m.ID != 9 || m.Role != Observer || m.Peers[0].Election().String() != "i:2" {
		t.Errorf("Member(9) = %+v", m)
	}
	if m := v.Member(2); m != nil {
		t.Errorf("Member(2) = %+v, want nil", m)
	}
}

func TestWeight(t *testing.T) {
	tests := []struct {
		name string
		view string
		id   ServerID
		want int64
	}{
		{"a participant of a majority view weighs 1", lines(3, 1), 1, 1},
		{"who is not in a majority view may be in the next, and weighs 1", lines(3, 1), 7, 1},
		{"no weight is 1", lines(3, 1) + "group.1=1:2:3\n", 2, 1},
		{"a weight is what it says", lines(3, 1) + "group.1=1:2:3\nweight.2=0\n", 2, 0},
		{"an observer weighs nothing", lines(3, 1) + "group.1=1:2:3\n", 4, 0},
		{"nor does who is not there", lines(3, 1) + "group.1=1:2:3\n", 7, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := mustView(t, tt.view).Weight(tt.id); got != tt.want {
				t.Errorf("Weight(%d) = %d, want %d", tt.id, got, tt.want)
			}
		})
	}
}

func TestEqual(t *testing.T) {
	const base = "server.1=zoo1:2888:3888;2181\nserver.2=zoo2:2888:3888\nserver.3=[::1]:2888:3888\n"
	const grouped = base + "group.1=1:2:3\n"
	tests := []struct {
		name        string
		a, b        string
		same, equal bool
	}{
		{"one text", base, base, true, true},
		{"another version", base + "version=1", base + "version=2", true, true},
		{"one version, other servers", lines(3, 0) + "version=7", lines(2, 0) + "version=7", false, true},
		{"a server more", lines(3, 0) + "version=1", lines(4, 0) + "version=2", false, false},
		{"another role", lines(3, 0) + "version=1", lines(2, 1) + "version=2", false, false},
		{"another client port", base, strings.Replace(base, "2181", "2182", 1) + "version=1", false, false},
		{"another quorum port", base, strings.Replace(base, "2888", "2889", 1) + "version=1", false, false},
		{"another order", base, "server.3=[::1]:2888:3888\nserver.2=zoo2:2888:3888\nserver.1=zoo1:2888:3888;2181\nversion=1", true, true},
		{"another spelling of one address", base, strings.NewReplacer("zoo1", "ZOO1", "::1", "0:0:0:0:0:0:0:1").Replace(base) + "version=1", true, true},
		{"groups or none", base, grouped + "version=1", false, false},
		{"a weight of 1 that is written and one that is not", grouped, grouped + "weight.1=1\nversion=1", true, true},
		{"another weight", grouped, grouped + "weight.1=2\nversion=1", false, false},
		{"other groups", grouped, base + "group.2=1:2:3\nversion=1", false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, b := mustView(t, tt.a), mustView(t, tt.b)
			if got := a.Same(b); got != tt.same || b.Same(a) != got {
				t.Errorf("Same = %v, the other way %v, want %v", got, b.Same(a), tt.same)
			}
			if got := a.Equal(b); got != tt.equal || b.Equal(a) != got {
				t.Errorf("Equal = %v, the other way %v, want %v", got, b.Equal(a), tt.equal)
			}
		})
	}
}

func TestNewViewRefuses(t *testing.T) {
	a := Member{ID: 1, Peers: []PeerAddr{{"a", 1, 2}}}
	b := Member{ID: 2, Peers: []PeerAddr{{"b", 1, 2}}}
	tests := []struct {
		name    string
		members []Member
		groups  []Group
		weights []Weight
		version wire.Zxid
		want    string
	}{
		{"nobody", nil, nil, nil, 0, "there is no server"},
		{"a version below 0", []Member{a}, nil, nil, -1, "version -1 is below 0"},
		{"a server without addresses", []Member{{ID: 7}}, nil, nil, 0, "server.7: 0 addresses (want 1 to 64)"},
		{"a role that is none", []Member{{ID: 7, Role: 9, Peers: a.Peers}}, nil, nil, 0, "server.7: role 9 is neither participant nor observer"},
		{"a port that is none", []Member{{ID: 7, Peers: []PeerAddr{{"a", 70000, 2}}}}, nil, nil, 0, "server.7: 70000 is not a port (1 to 65535)"},
		{"a server twice", []Member{a, a}, nil, nil, 0, "server.1: this server is listed twice"},
		{"an empty group", []Member{a}, []Group{{ID: 3}}, nil, 0, "group.3: the group is empty; server.1: a participant in no group: with groups or weights each needs one (group.1=1:2:3)"},
		{"a group twice", []Member{a, b}, []Group{{1, []ServerID{1}}, {1, []ServerID{2}}}, nil, 0, "group.1: this group is there twice"},
		{"two weights", []Member{a}, []Group{{1, []ServerID{1}}}, []Weight{{1, 1}, {1, 2}}, 0, "weight.1: this server has two weights"},
		{"a weight below 0", []Member{a}, []Group{{1, []ServerID{1}}}, []Weight{{1, -1}}, 0, "weight.1: -1 is out of range (0 to 4294967296)"},
		{"too many", make([]Member, 1001), nil, nil, 0, "1001 servers, more than 1000"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := NewView(tt.members, tt.groups, tt.weights, tt.version); err == nil || err.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestNewViewKeepsNothingOfItsCaller(t *testing.T) {
	members := []Member{{ID: 2, Peers: []PeerAddr{{"b", 1, 2}}}, {ID: 1, Peers: []PeerAddr{{"a", 1, 2}}}}
	groups := []Group{{1, []ServerID{2, 1}}}
	weights := []Weight{{2, 5}}
	v, err := NewView(members, groups, weights, 3)
	if err != nil {
		t.Fatal(err)
	}
	text := v.String()
	members[0].Peers[0].Host, groups[0].Members[0], weights[0].Weight = "x", 9, 9
	again, err := NewView(v.Members(), v.Groups(), v.weights, v.Version)
	if err != nil || again.String() != text {
		t.Errorf("after the caller changed its slices: %v\n%s\nwant\n%s", err, again, text)
	}
}

func TestWithVersion(t *testing.T) {
	v := mustView(t, lines(3, 0))
	w := v.WithVersion(0x100000000)
	if got, want := w.String(), lines(3, 0)+"version=100000000"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := v.String(), lines(3, 0)+"version=0"; got != want {
		t.Errorf("the original became %s, want %s", got, want)
	}
}

func TestQuorums(t *testing.T) {
	three, five := mustView(t, lines(3, 0)), mustView(t, lines(5, 0))
	tests := []struct {
		name  string
		views []*View
		ids   []ServerID
		want  bool
	}{
		{"no view has no quorum", []*View{nil, nil}, []ServerID{1, 2, 3}, false},
		{"a committed view alone", []*View{three, nil}, []ServerID{1, 2}, true},
		{"the same view twice", []*View{three, three}, []ServerID{1, 2}, true},
		{"a quorum of the old view only", []*View{three, five}, []ServerID{1, 2}, false},
		{"a quorum of the new view only", []*View{three, five}, []ServerID{1, 4, 5}, false},
		{"a quorum of both", []*View{three, five}, []ServerID{1, 2, 5}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Quorums(NewIDSet(tt.ids...), tt.views...); got != tt.want {
				t.Errorf("Quorums(%v) = %v, want %v", tt.ids, got, tt.want)
			}
		})
	}
}

func TestIDSetAgainstAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s IDSet
		model := map[ServerID]bool{}
		for range rapid.IntRange(0, 40).Draw(t, "steps") {
			id := ServerID(rapid.SampledFrom([]int64{math.MinInt64, -1, 0, 1, 2, 3, 4, 5, math.MaxInt64}).Draw(t, "id"))
			had := model[id]
			if rapid.Bool().Draw(t, "add") {
				if s.Add(id) == had {
					t.Fatalf("Add(%d) = %v, was there: %v", id, !had, had)
				}
				model[id] = true
			} else {
				if s.Remove(id) != had {
					t.Fatalf("Remove(%d) = %v, was there: %v", id, !had, had)
				}
				delete(model, id)
			}
			if s.Has(id) != model[id] || s.Len() != len(model) || !slices.IsSorted(s.IDs()) {
				t.Fatalf("got %v, want %v", s, model)
			}
		}
		c := s.Clone()
		c.Add(77)
		if s.Has(77) {
			t.Fatal("a clone shares with the original")
		}
	})
}

// drawView draws a view of up to 9 servers, with groups or without.
func drawView(t *rapid.T) *View {
	hosts := []string{"zoo", "10.0.0.", "fd00::", "Ä-"}
	var members []Member
	var groups []Group
	var weights []Weight
	n := rapid.IntRange(1, 9).Draw(t, "servers")
	for i := range n {
		m := Member{ID: ServerID(i + 1)}
		if i > 0 && rapid.IntRange(0, 3).Draw(t, "observer") == 0 {
			m.Role = Observer
		}
		for j := range rapid.IntRange(1, 3).Draw(t, "alternatives") {
			host := fmt.Sprint(rapid.SampledFrom(hosts).Draw(t, "host"), i+1)
			m.Peers = append(m.Peers, PeerAddr{host, 2888 + 2*j, 2889 + 2*j})
		}
		if rapid.Bool().Draw(t, "client") {
			m.Client = Addr{rapid.SampledFrom([]string{"0.0.0.0", "::", "localhost"}).Draw(t, "client host"), 2181}
		}
		if rapid.Bool().Draw(t, "secure") {
			m.SecureClient = Addr{"0.0.0.0", 2281}
		}
		members = append(members, m)
	}
	if rapid.Bool().Draw(t, "hierarchical") {
		members, groups, weights = drawGroups(t, members)
	}
	version := wire.Zxid(rapid.Int64Range(0, math.MaxInt64).Draw(t, "version"))
	v, err := NewView(rapid.Permutation(members).Draw(t, "order"), groups, weights, version)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func drawGroups(t *rapid.T, members []Member) ([]Member, []Group, []Weight) {
	groups := []Group{{ID: 1}, {ID: 2}, {ID: 3}, {ID: 4}}
	var weights []Weight
	for i, m := range members {
		observer := m.Role == Observer
		if observer && rapid.Bool().Draw(t, "ungrouped") {
			continue
		}
		g := &groups[rapid.IntRange(0, 3).Draw(t, "group")]
		g.Members = append(g.Members, m.ID)
		if i == 0 {
			continue // so that something weighs
		}
		if observer || rapid.Bool().Draw(t, "weighs") {
			weights = append(weights, Weight{m.ID, rapid.Int64Range(0, 5).Draw(t, "weight")})
		}
	}
	groups = slices.DeleteFunc(groups, func(g Group) bool { return len(g.Members) == 0 })
	return members, groups, weights
}

// TestQuorumsIntersect: of any two sets of servers with nobody in common, not both are quorums. All the
// rest of agreement stands on this.
func TestQuorumsIntersect(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := drawView(t)
		for split := range 1 << v.Len() {
			var a, b IDSet
			for i := range v.Members() {
				if split>>i&1 == 0 {
					a.Add(v.Members()[i].ID)
				} else {
					b.Add(v.Members()[i].ID)
				}
			}
			if v.Quorum(a) && v.Quorum(b) {
				t.Fatalf("%v and %v are both quorums of\n%s", a, b, v)
			}
		}
	})
}

// TestQuorumGrows: what contains a quorum is one, so that an ack more never hurts.
func TestQuorumGrows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := drawView(t)
		var set IDSet
		was := false
		for _, id := range rapid.Permutation(slices.Clone(v.Voters())).Draw(t, "acks") {
			set.Add(id)
			is := v.Quorum(set)
			if was && !is {
				t.Fatalf("%v is no quorum any more of\n%s", set, v)
			}
			was = is
		}
	})
}

func TestParseOfTextIsTheView(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := drawView(t)
		w, err := ParseView(v.Text())
		if err != nil {
			t.Fatalf("%v: %v", v, err)
		}
		if w.Version != v.Version || !w.Same(v) || w.String() != v.String() {
			t.Fatalf("got\n%s\nwant\n%s", w, v)
		}
	})
}
