package zab

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"paddock/wire"
)

// ServerID names a server of the ensemble: the N of its server.N line, and what its myid says. Any
// int64 can come from a peer; what our own configuration may say is narrower.
type ServerID int64

// Role is what a server is in a view.
type Role uint8

// The roles.
const (
	Participant Role = iota // votes and may lead
	Observer                // learns only
)

func (r Role) String() string {
	if r == Observer {
		return "observer"
	}
	return "participant"
}

// Addr is a host and a port. The zero value is no address.
type Addr struct {
	Host string // a name, or an IP address without brackets, as netip spells it
	Port int
}

// None reports whether there is no address.
func (a Addr) None() bool { return a == Addr{} }

// String returns what net.Dial takes: host:port, an IPv6 address in brackets.
func (a Addr) String() string {
	if strings.Contains(a.Host, ":") {
		return "[" + a.Host + "]:" + strconv.Itoa(a.Port)
	}
	return a.Host + ":" + strconv.Itoa(a.Port)
}

// Wildcard reports whether a stands for all addresses of its host.
func (a Addr) Wildcard() bool {
	ip, err := netip.ParseAddr(a.Host)
	return err == nil && ip.IsUnspecified()
}

// Loopback reports whether a can be reached from its own host only.
func (a Addr) Loopback() bool {
	ip, err := netip.ParseAddr(a.Host)
	return err == nil && ip.IsLoopback() || strings.EqualFold(a.Host, "localhost")
}

// same compares without a resolver: two names of one host are two hosts.
func (a Addr) same(b Addr) bool { return a.Port == b.Port && strings.EqualFold(a.Host, b.Host) }

// clash reports whether one host could not listen on both.
func (a Addr) clash(b Addr) bool {
	return a.Port == b.Port && (a.same(b) || a.Wildcard() || b.Wildcard())
}

// PeerAddr is one way to reach a server from the others.
type PeerAddr struct {
	Host         string
	QuorumPort   int
	ElectionPort int
}

// Quorum returns where a leader listens for learners.
func (p PeerAddr) Quorum() Addr { return Addr{p.Host, p.QuorumPort} }

// Election returns where a server listens for votes.
func (p PeerAddr) Election() Addr { return Addr{p.Host, p.ElectionPort} }

// Member is one server of a view.
type Member struct {
	ID           ServerID
	Role         Role
	Peers        []PeerAddr // at least one; several are alternatives, sorted by host
	Client       Addr       // none: not part of the view (a static clientPort is not)
	SecureClient Addr       // none: no TLS port for clients
}

func (m *Member) same(o *Member) bool {
	samePeer := func(a, b PeerAddr) bool { return a.Quorum().same(b.Quorum()) && a.Election().same(b.Election()) }
	return m.ID == o.ID && m.Role == o.Role && m.Client.same(o.Client) &&
		m.SecureClient.same(o.SecureClient) && slices.EqualFunc(m.Peers, o.Peers, samePeer)
}

// Group is a set of servers that decides as one.
type Group struct {
	ID      int64
	Members []ServerID
}

// Weight is how much the vote of a server counts in its group.
type Weight struct {
	ID     ServerID
	Weight int64
}

// View is a configuration of the ensemble: who belongs to it, and which sets of its participants are
// quorums. It is immutable after NewView or ParseView and may be shared by goroutines.
//
// Without groups and weights a quorum is a majority of the participants. With them it is a majority of
// the groups whose weight is not 0, each by a majority of its weight.
type View struct {
	Version wire.Zxid // the zxid of the transaction that made it; 0: from a file, never agreed on

	members      []Member // by id
	voters       IDSet
	observers    IDSet
	hierarchical bool
	groups       []Group  // by id; members by id
	weights      []Weight // by id: of all participants, and what else was given
	groupWeights []int64  // as groups
	counted      int      // groups whose weight is not 0
	text         []byte
}

// Bounds of a view: what a peer sends must not cost more than any ensemble needs.
const (
	maxMembers   = 1000
	maxAddresses = 64      // alternatives of one server
	maxWeight    = 1 << 32 // so that no sum overflows
)

// ViewError is one thing that is wrong with a view.
type ViewError struct {
	Key  string // whose: "server.2", "group.1", "weight.3"; empty: nobody's alone
	Text string // what is wrong, and what would be right
}

func (e ViewError) Error() string {
	if e.Key == "" {
		return e.Text
	}
	return e.Key + ": " + e.Text
}

// ViewErrors is all that is wrong with a view, at least one thing.
type ViewErrors []ViewError

func (e ViewErrors) Error() string {
	const shown = 8 // a peer may send us a thousand
	var words []string
	for _, one := range e[:min(len(e), shown)] {
		words = append(words, one.Error())
	}
	if len(e) > shown {
		words = append(words, fmt.Sprintf("and %d more", len(e)-shown))
	}
	return strings.Join(words, "; ")
}

// NewView returns the view of these members. Groups and weights are nil for majority quorums; when
// either has an entry each participant must be in exactly one group, and weighs 1 where no weight says
// otherwise. The error is a ViewErrors. It keeps none of the slices.
func NewView(members []Member, groups []Group, weights []Weight, version wire.Zxid) (*View, error) {
	if err := bound(members, groups, weights); err != nil {
		return nil, err
	}
	c := viewChecker{view: &View{Version: version, hierarchical: len(groups)+len(weights) > 0}}
	if version < 0 {
		c.fault("", "version %d is below 0", version)
	}
	c.members(members)
	c.addresses()
	if c.view.hierarchical {
		c.weights(weights)
		c.groups(groups)
	}
	if len(c.faults) > 0 {
		return nil, c.faults
	}
	v := c.view
	if v.text = v.appendText(nil); len(v.text) > maxTextBytes {
		return nil, ViewErrors{{"", fmt.Sprintf("the text of the servers takes %d bytes, more than %d", len(v.text), maxTextBytes)}}
	}
	return v, nil
}

func bound(members []Member, groups []Group, weights []Weight) error {
	grouped := 0
	for _, g := range groups {
		grouped += len(g.Members)
	}
	for _, n := range []struct {
		what  string
		count int
	}{{"servers", len(members)}, {"groups", len(groups)}, {"servers in groups", grouped}, {"weights", len(weights)}} {
		if n.count > maxMembers {
			return ViewErrors{{"", fmt.Sprintf("%d %s, more than %d", n.count, n.what, maxMembers)}}
		}
	}
	return nil
}

// viewChecker builds a view and notes all that is wrong with it.
type viewChecker struct {
	view   *View
	faults ViewErrors
}

func (c *viewChecker) fault(key, format string, args ...any) {
	c.faults = append(c.faults, ViewError{key, fmt.Sprintf(format, args...)})
}

func keyOf[T ~int64](kind string, id T) string { return kind + "." + strconv.FormatInt(int64(id), 10) }

func (c *viewChecker) members(members []Member) {
	v := c.view
	members = slices.Clone(members)
	slices.SortStableFunc(members, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	for _, m := range members {
		m.Peers = slices.Clone(m.Peers)
		key := keyOf("server", m.ID)
		if v.voters.Has(m.ID) || v.observers.Has(m.ID) {
			c.fault(key, "this server is listed twice")
			continue
		}
		if err := m.normalize(); err != nil {
			c.fault(key, "%v", err)
		}
		v.members = append(v.members, m)
		if m.Role == Observer {
			v.observers.Add(m.ID)
		} else {
			v.voters.Add(m.ID)
		}
	}
	switch {
	case v.voters.Len() > 0:
	case v.observers.Len() > 0:
		c.fault(keyOf("server", v.members[0].ID), "an observer needs participants to observe, and there is none")
	default:
		c.fault("", "there is no server")
	}
}

// addresses refuses what two servers claim. Java looks only when it reconfigures, and not at wildcards
// and loopback; a quorum or election address that is on two lines is wrong always.
func (c *viewChecker) addresses() {
	type claim struct {
		id   ServerID
		what string
	}
	claims := make(map[Addr]claim)
	for i := range c.view.members {
		m := &c.view.members[i]
		for _, n := range m.addresses() {
			if n.client && (n.addr.Wildcard() || n.addr.Loopback()) {
				continue
			}
			a := Addr{strings.ToLower(n.addr.Host), n.addr.Port}
			before, taken := claims[a]
			if taken && before.id != m.ID {
				c.fault(keyOf("server", m.ID), "its %s %v is the %s of server %d", n.what, a, before.what, before.id)
				continue
			}
			claims[a] = claim{m.ID, n.what}
		}
	}
}

func (c *viewChecker) weights(weights []Weight) {
	v := c.view
	for _, w := range weights {
		i, found := v.findWeight(w.ID)
		switch {
		case found:
			c.fault(keyOf("weight", w.ID), "this server has two weights")
		case w.Weight < 0 || w.Weight > maxWeight:
			c.fault(keyOf("weight", w.ID), "%d is out of range (0 to %d)", w.Weight, int64(maxWeight))
		default:
			v.weights = slices.Insert(v.weights, i, w)
		}
	}
	for _, id := range v.voters.IDs() {
		if i, found := v.findWeight(id); !found {
			v.weights = slices.Insert(v.weights, i, Weight{id, 1})
		}
	}
}

func (c *viewChecker) groups(groups []Group) {
	v := c.view
	v.groups = slices.Clone(groups)
	slices.SortStableFunc(v.groups, func(a, b Group) int { return cmp.Compare(a.ID, b.ID) })
	var grouped IDSet
	for i := range v.groups {
		if i > 0 && v.groups[i-1].ID == v.groups[i].ID {
			c.fault(keyOf("group", v.groups[i].ID), "this group is there twice")
		}
		c.group(&v.groups[i], &grouped)
	}
	for _, id := range v.voters.IDs() {
		if !grouped.Has(id) {
			c.fault(keyOf("server", id), "a participant in no group: with groups or weights each needs one (group.1=1:2:3)")
		}
	}
	if v.counted == 0 && len(c.faults) == 0 {
		c.fault("", "all servers weigh 0: no set of them is a quorum")
	}
}

// group checks one group and sums its weight. Who cannot vote (an observer, or a server that was struck
// off the list) weighs what its weight line says, so that all servers count alike; one without such a
// line ends Java's server, and is refused here.
func (c *viewChecker) group(g *Group, grouped *IDSet) {
	v, key := c.view, keyOf("group", g.ID)
	g.Members = slices.Clone(g.Members)
	slices.Sort(g.Members)
	if len(g.Members) == 0 {
		c.fault(key, "the group is empty")
	}
	var total int64
	for _, id := range g.Members {
		if !grouped.Add(id) {
			c.fault(key, "server %d is in a group already", id)
			continue
		}
		w, weighs := v.weightOf(id)
		switch {
		case weighs:
			total += w
		case v.Member(id) == nil:
			c.fault(key, "there is no server %d", id)
		default:
			c.fault(key, "server %d is an observer, which has no vote (take it out of the group)", id)
		}
	}
	v.groupWeights = append(v.groupWeights, total)
	if total != 0 {
		v.counted++
	}
}

func (v *View) findWeight(id ServerID) (int, bool) {
	return slices.BinarySearchFunc(v.weights, id, func(w Weight, id ServerID) int { return cmp.Compare(w.ID, id) })
}

func (v *View) weightOf(id ServerID) (weight int64, weighs bool) {
	i, found := v.findWeight(id)
	if !found {
		return 0, false
	}
	return v.weights[i].Weight, true
}

// WithVersion returns the same configuration under another version. It panics on one below 0.
func (v *View) WithVersion(version wire.Zxid) *View {
	if version < 0 {
		panic(fmt.Sprintf("zab: view with version %d", version))
	}
	w := *v
	w.Version = version
	w.text = w.appendText(nil)
	return &w
}

// Len returns the number of members.
func (v *View) Len() int { return len(v.members) }

// Members returns all members by id. The caller must not change them.
func (v *View) Members() []Member { return v.members }

// Member returns the member id, nil if there is none. The caller must not change it.
func (v *View) Member(id ServerID) *Member {
	i, found := slices.BinarySearchFunc(v.members, id, func(m Member, id ServerID) int { return cmp.Compare(m.ID, id) })
	if !found {
		return nil
	}
	return &v.members[i]
}

// Voter reports whether id is a participant.
func (v *View) Voter(id ServerID) bool { return v.voters.Has(id) }

// Voters returns the ids of all participants, ascending. The caller must not change them.
func (v *View) Voters() []ServerID { return v.voters.IDs() }

// Observers returns the ids of all observers, ascending. The caller must not change them.
func (v *View) Observers() []ServerID { return v.observers.IDs() }

// Hierarchical reports whether quorums are counted by groups and weights.
func (v *View) Hierarchical() bool { return v.hierarchical }

// Groups returns the groups by id, nil for majority quorums. The caller must not change them.
func (v *View) Groups() []Group { return v.groups }

// Weight returns how much a vote for id is worth in an election; a vote for a server of weight 0 never
// wins. With majority quorums it is 1 for everybody, also for those that are not in this view, and may
// be in the next. With groups it is 0 for those (Java fails there).
func (v *View) Weight(id ServerID) int64 {
	if !v.hierarchical {
		return 1
	}
	w, _ := v.weightOf(id)
	return w
}

// Quorum reports whether the participants in set are a quorum; who else is in it does not count. Any
// two quorums of one view have a participant in common.
func (v *View) Quorum(set IDSet) bool {
	if v.hierarchical {
		return v.hierarchicalQuorum(set)
	}
	n := 0
	for _, id := range set.IDs() {
		if v.Voter(id) {
			n++
		}
	}
	return n > v.voters.Len()/2
}

func (v *View) hierarchicalQuorum(set IDSet) bool {
	agreed := 0
	for i := range v.groups {
		var sum int64
		for _, id := range v.groups[i].Members {
			if v.Voter(id) && set.Has(id) {
				sum += v.Weight(id)
			}
		}
		if sum > v.groupWeights[i]/2 {
			agreed++
		}
	}
	return agreed > v.counted/2
}

// Equal reports whether two views are one configuration, as Java decides it when it asks whether an
// election has to begin anew: those of one version are, and else those that say the same. Names are not
// resolved.
func (v *View) Equal(o *View) bool { return v.Version == o.Version || v.Same(o) }

// Same reports whether two views say the same, whatever their versions.
func (v *View) Same(o *View) bool {
	sameMember := func(a, b Member) bool { return a.same(&b) }
	sameGroup := func(a, b Group) bool { return a.ID == b.ID && slices.Equal(a.Members, b.Members) }
	return v.hierarchical == o.hierarchical && slices.EqualFunc(v.members, o.members, sameMember) &&
		slices.EqualFunc(v.groups, o.groups, sameGroup) && slices.Equal(v.weights, o.weights)
}

// Quorums reports whether set holds a quorum of each of the views: of the committed one and, while another
// is proposed, of that too. A view that is nil asks for nothing; where all are, there is no quorum.
func Quorums(set IDSet, views ...*View) bool {
	some := false
	for _, v := range views {
		if v != nil && !v.Quorum(set) {
			return false
		}
		some = some || v != nil
	}
	return some
}

// IDSet is a set of server ids, for a handful of them. The zero value is empty. A copy shares the ids
// with the original: to change both, Clone one.
type IDSet struct{ ids []ServerID } // ascending

// NewIDSet returns the set of ids.
func NewIDSet(ids ...ServerID) IDSet {
	s := IDSet{slices.Clone(ids)}
	slices.Sort(s.ids)
	s.ids = slices.Compact(s.ids)
	return s
}

// Add puts id into s and reports whether it was not there before.
func (s *IDSet) Add(id ServerID) bool {
	i, found := slices.BinarySearch(s.ids, id)
	if !found {
		s.ids = slices.Insert(s.ids, i, id)
	}
	return !found
}

// Remove takes id out of s and reports whether it was there.
func (s *IDSet) Remove(id ServerID) bool {
	i, found := slices.BinarySearch(s.ids, id)
	if found {
		s.ids = slices.Delete(s.ids, i, i+1)
	}
	return found
}

// Clear empties s and keeps its memory.
func (s *IDSet) Clear() { s.ids = s.ids[:0] }

// Has reports whether id is in s.
func (s IDSet) Has(id ServerID) bool {
	_, found := slices.BinarySearch(s.ids, id)
	return found
}

// Len returns the number of ids.
func (s IDSet) Len() int { return len(s.ids) }

// IDs returns the ids, ascending. They are those of s until it changes; the caller must not change them.
func (s IDSet) IDs() []ServerID { return s.ids }

// Clone returns a copy that shares nothing.
func (s IDSet) Clone() IDSet { return IDSet{slices.Clone(s.ids)} }

func (s IDSet) String() string {
	words := make([]string, len(s.ids))
	for i, id := range s.ids {
		words[i] = strconv.FormatInt(int64(id), 10)
	}
	return "{" + strings.Join(words, " ") + "}"
}
