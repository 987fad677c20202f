package admin

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"paddock/server"
	"paddock/wire"
	"paddock/zab"
)

// This file says what a server is in its ensemble, in ZooKeeper's words. Source: ServerStats, QuorumPeer,
// Leader, LeaderZooKeeperServer, LearnerZooKeeperServer, ZooKeeper 3.9.5.

// The modes: what srvr and stat print, and the server_state of mntr.
const (
	modeAlone    = "standalone"
	modeLeader   = "leader"
	modeFollower = "follower"
	modeObserver = "observer"
	modeLooking  = "leaderelection" // for a moment only: who looks serves nobody, and says so
)

// standing is what a server is among others.
type standing struct {
	server.EnsembleStatus
	member bool // false: it is alone, and the rest is empty
}

func standingOf(s Server) standing {
	st, member := s.Ensemble()
	return standing{st, member}
}

func (p *standing) mode() string {
	if !p.member {
		return modeAlone
	}
	switch p.State {
	case zab.Leading:
		return modeLeader
	case zab.Following:
		return modeFollower
	case zab.Observing:
		return modeObserver
	}
	return modeLooking
}

// leads reports whether the server serves as leader.
func (p *standing) leads() bool { return p.member && p.Serving && p.State == zab.Leading }

// learns reports whether the sessions are kept elsewhere.
func (p *standing) learns() bool { return p.member && p.State != zab.Leading }

// peerState is the state with its phase, as far as it is known here: who does not serve is somewhere
// between its election and the end of its synchronization.
func (p *standing) peerState() string {
	if p.Serving {
		return p.State.String() + " - broadcast"
	}
	return p.State.String()
}

// zabState is the phase alone.
func (p *standing) zabState() string {
	switch {
	case p.Serving:
		return "broadcast"
	case p.State == zab.Looking:
		return "election"
	}
	return "synchronization"
}

// why says why a server that is up serves nobody.
func (p *standing) why() string {
	switch p.State {
	case zab.Looking:
		return "looking for a leader"
	case zab.Leading:
		return "leading, and closed to clients or not followed by a quorum yet"
	}
	return "synchronizing with server " + strconv.FormatInt(int64(p.Leader), 10)
}

// learners are counts of the links that others have to this server.
type learners struct {
	all, observers                   int
	synced, nonVoting, syncedObserve int // told to serve
}

func (p *standing) learners() (n learners) {
	for i := range p.Links {
		l := &p.Links[i]
		if l.Leader {
			continue
		}
		n.all++
		if l.Observer {
			n.observers++
		}
		switch {
		case !l.Synced:
		case l.Observer:
			n.syncedObserve++
		case p.View.Voter(l.Server):
			n.synced++
		default:
			n.nonVoting++
		}
	}
	return n
}

// behind counts the transactions from a to b. Before the first transaction of an epoch nothing is known
// but what is in it.
func behind(a, b wire.Zxid) int64 {
	if b <= a {
		return 0
	}
	if a.Epoch() != b.Epoch() {
		return b.Counter()
	}
	return int64(b - a)
}

// peerType is what conf prints: LearnerType's number.
func peerType(r zab.Role) int {
	if r == zab.Observer {
		return 1
	}
	return 0
}

// ports lists the ports of a server's addresses.
func ports(peers []zab.PeerAddr, of func(zab.PeerAddr) zab.Addr) string {
	var all []string
	for _, p := range peers {
		if port := strconv.Itoa(of(p).Port); len(all) == 0 || all[len(all)-1] != port {
			all = append(all, port)
		}
	}
	return strings.Join(all, "|")
}

// confEnsemble is what conf adds for one of several. The last line has no end, as in ZooKeeper.
func (a *Admin) confEnsemble(p *standing, t *text) {
	c, own := &a.cfg.Conf, p.View.Member(p.ID)
	t.addf("initLimit=%d\nsyncLimit=%d\nelectionAlg=3\n", c.InitLimit, c.SyncLimit)
	t.addf("electionPort=%s\nquorumPort=%s\npeerType=%d\n", ports(own.Peers, zab.PeerAddr.Election),
		ports(own.Peers, zab.PeerAddr.Quorum), peerType(own.Role))
	t.add("membership: \n" + p.View.String())
}

func addProposals(t *text, s Server) {
	last, least, most := proposalSizes(s)
	t.addf("Proposal sizes last/min/max: %d/%d/%d\n", last, least, most)
}

// proposalSizes are bytes; -1 before the first, and where they are not counted.
func proposalSizes(s Server) (last, least, most int64) {
	last, least, most = -1, -1, -1
	if m, ok := s.(ensembleMeter); ok {
		n := m.EnsembleNumbers()
		if v, ok := n["last_proposal_size"]; ok {
			last, least, most = v, n["min_proposal_size"], n["max_proposal_size"]
		}
	}
	return last, least, most
}

// clientAddr is where clients of m connect, as far as this server knows: not every server line says it.
func (a *Admin) clientAddr(p *standing, m *zab.Member) string {
	switch {
	case !m.Client.None():
		return m.Client.String()
	case m.ID == p.ID:
		return a.cfg.Conf.ClientAddr
	}
	return ""
}

func (q *request) leader() (object, string) {
	p := standingOf(q.s)
	if !p.member {
		return nil, "server is not initialized"
	}
	return object{
		{"is_leader", p.State == zab.Leading},
		{"leader_id", int64(p.Leader)},
		{"leader_ip", p.leaderIP()},
	}, ""
}

// leaderIP is the address that we follow, or our own. A name that nobody can resolve stays one.
func (p *standing) leaderIP() string {
	for _, l := range p.Links {
		if remote, err := netip.ParseAddrPort(l.Remote); l.Leader && err == nil {
			return remote.Addr().Unmap().String()
		}
	}
	m := p.View.Member(p.Leader)
	if m == nil {
		return ""
	}
	const patience = time.Second
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", m.Peers[0].Host); err == nil && len(ips) > 0 {
		return ips[0].Unmap().String()
	}
	return m.Peers[0].Host
}

// observers lists what is known of them. ZooKeeper counts the packets of each, too.
func (q *request) observers() (object, string) {
	p, all := standingOf(q.s), list{}
	for _, l := range p.Links {
		if l.Leader || !l.Observer {
			continue
		}
		all = append(all, object{
			{"remote_socket_address", "/" + l.Remote},
			{"sid", int64(l.Server)},
			{"queued_packets_size", int64(l.Queued)},
		})
	}
	return object{{"synced_observers", int64(p.learners().syncedObserve)}, {"observers", all}}, ""
}

// votingView lists those who vote. Observers are not among them.
func (q *request) votingView() (object, string) {
	p, voters := standingOf(q.s), object{}
	if p.member {
		for _, id := range p.View.Voters() {
			m := p.View.Member(id)
			voters.set(strconv.FormatInt(int64(id), 10), object{
				{"server_addresses", addrs(m.Peers, zab.PeerAddr.Quorum)},
				{"election_addresses", addrs(m.Peers, zab.PeerAddr.Election)},
				{"client_address", q.a.clientAddr(&p, m)},
				{"learner_type", m.Role.String()},
			})
		}
	}
	return object{{"current_config", voters}}, ""
}

func addrs(peers []zab.PeerAddr, of func(zab.PeerAddr) zab.Addr) (l list) {
	for _, p := range peers {
		l = append(l, of(p).String())
	}
	return l
}

// zabState of a server that looks is more than ZooKeeper says of one, which is what it says of a server
// alone.
func (q *request) zabState() (o object, fault string) {
	if q.s == nil {
		return object{{"voting", false}, {"zabstate", ""}}, ""
	}
	p := standingOf(q.s)
	if !p.member {
		return object{{"voting", false}, {"zabstate", ""}}, ""
	}
	own, zxid := p.View.Member(p.ID), q.s.Status().Zxid
	o.set("myid", int64(p.ID))
	o.set("is_leader", p.State == zab.Leading)
	o.set("quorum_address", addressSet(own.Peers, zab.PeerAddr.Quorum))
	o.set("election_address", addressSet(own.Peers, zab.PeerAddr.Election))
	o.set("client_address", q.a.clientAddr(&p, own))
	o.set("voting", p.View.Voter(p.ID))
	o.set("last_zxid", "0x"+strconv.FormatUint(uint64(zxid), 16)) //nolint:gosec // its bits
	o.set("zab_epoch", zxid.Epoch())
	o.set("zab_counter", zxid.Counter())
	o.set("zabstate", p.zabState())
	return o, ""
}

// addressSet has the fields that Jackson made of MultipleAddresses. Which of several can be reached is
// not tried for it: all of them count as reachable.
func addressSet(peers []zab.PeerAddr, of func(zab.PeerAddr) zab.Addr) (o object) {
	all, wildcards, ports, hosts := list{}, list{}, list{}, list{}
	for _, p := range peers {
		a := of(p)
		all, hosts, ports = append(all, a.String()), append(hosts, a.Host), append(ports, int64(a.Port))
		wildcards = append(wildcards, "0.0.0.0:"+strconv.Itoa(a.Port))
	}
	one := of(peers[0]).String()
	o.set("empty", false)
	o.set("all_addresses", all)
	o.set("wildcard_addresses", wildcards)
	o.set("all_ports", ports)
	o.set("all_host_strings", hosts)
	o.set("reachable_address", one)
	o.set("all_reachable_addresses", all)
	o.set("all_reachable_addresses_or_all", all)
	o.set("reachable_or_one", one)
	o.set("one", one)
	return o
}
