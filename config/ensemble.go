package config

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"paddock/wire"
	"paddock/zab"
)

// Ensemble is what a server needs to know to be one of several.
type Ensemble struct {
	MyID zab.ServerID // a member of View, 1 to 255
	View *zab.View    // as the files have it; its version is the suffix of the dynamic file's name, or 0; or as a reconfig has made it

	// LastSeen is a later membership that a reconfig has proposed, and that may not be in force; see
	// Config.MembershipFile. Nil where there is none.
	LastSeen *zab.View

	// MayBeEmpty says that an empty data directory is meant, and may vote: somebody wrote db.autocreate=true,
	// or has made the marker initialize. The default of db.autocreate vouches for nothing here.
	MayBeEmpty bool
	// Marked says that the marker is there. It counts once: who runs the server removes it.
	Marked bool

	EnsembleSettings
}

// EnsembleSettings are the settings that only an ensemble uses. Each field names its zoo.cfg key. In
// an Ensemble they fit together; in a Config they are as they were given.
type EnsembleSettings struct {
	InitLimit    int // initLimit in ticks; to connect and synchronize; required
	SyncLimit    int // syncLimit in ticks; of silence; required
	ConnectLimit int // connectToLearnerMasterLimit in ticks; to connect; default 0 = InitLimit

	PeerType                      string // peerType; the role in View counts
	StandaloneEnabled             bool   // standaloneEnabled; default true
	ReconfigEnabled               bool   // reconfigEnabled; default false
	DynamicConfigFile             string // dynamicConfigFile; server lines live there
	LocalSessionsEnabled          bool   // localSessionsEnabled; default false
	LocalSessionsUpgradingEnabled bool   // localSessionsUpgradingEnabled; default false
	ReadOnlyMode                  bool   // readonlymode.enabled; default false; also allows isro
	LeaderServes                  bool   // leaderServes; default true; false: no clients on the leader
	DBAutoCreate                  bool   // db.autocreate; default true
	SnapForTrunc                  bool   // leader.snapForTrunc (ours); default false; SNAP where ZooKeeper sends TRUNC

	// Connections between servers.

	MultiAddressEnabled   bool          // multiAddress.enabled; default false
	QuorumListenOnAllIPs  bool          // quorumListenOnAllIPs; default false
	TCPKeepAlive          bool          // tcpKeepAlive; default true (Apache: false)
	SSLQuorum             bool          // sslQuorum; default false
	QuorumSASL            bool          // quorum.auth.enableSasl; default false
	CnxTimeout            time.Duration // cnxTimeout; default 5 s; for an election connection to come up
	QuorumCnxnTimeout     time.Duration // quorumCnxnTimeoutMs; default SyncLimit; for its handshake
	ElectionPortBindRetry int           // electionPortBindRetry; default 0 = for ever (Apache: 3)
	LeaderConnectDelay    time.Duration // leaderConnectDelayDuringRetryMs; default 100 ms; between attempts

	// Election.

	MinNotificationInterval time.Duration // fastleader.minNotificationInterval; default 200 ms
	MaxNotificationInterval time.Duration // fastleader.maxNotificationInterval; default 60 s
	MaxTimeToWaitForEpoch   time.Duration // leader.maxTimeToWaitForEpoch; negative = no limit, the default

	// Synchronization.

	CommitLogCount         int // commitLogCount; default 500, at least that; proposals
	MaxConcurrentSnapSyncs int // leader.maxConcurrentSnapSyncs; default 10
	MaxConcurrentDiffSyncs int // leader.maxConcurrentDiffSyncs; default 100

	// Observers.

	SyncEnabled             bool          // syncEnabled; default true; they keep a log and snapshots
	ObserverMasterPort      int           // observerMasterPort; default 0 = off
	ObserverMasterSizeLimit int64         // observerMaster.sizeLimit in bytes; default 32 MiB
	ObserverReconnectDelay  time.Duration // observer.reconnectDelayMs; default 0; upper bound of a random wait
	ObserverElectionDelay   time.Duration // observer.election.DelayMs; default 200 ms; the same
}

// Self returns the member that this server is.
func (e *Ensemble) Self() *zab.Member { return e.View.Member(e.MyID) }

// QuorumAddrs returns the addresses to listen on for learners.
func (e *Ensemble) QuorumAddrs() []string { return e.addrs(zab.PeerAddr.Quorum) }

// ElectionAddrs returns the addresses to listen on for votes.
func (e *Ensemble) ElectionAddrs() []string { return e.addrs(zab.PeerAddr.Election) }

func (e *Ensemble) addrs(of func(zab.PeerAddr) zab.Addr) []string {
	var all []string
	for _, p := range e.Self().Peers {
		a := of(p)
		if e.QuorumListenOnAllIPs {
			a.Host = ""
		}
		if text := net.JoinHostPort(a.Host, strconv.Itoa(a.Port)); !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	return all
}

// listeners returns the same for comparison with other ports.
func (e *Ensemble) listeners() []listener {
	var all []listener
	for _, p := range e.Self().Peers {
		for _, a := range []zab.Addr{p.Quorum(), p.Election()} {
			if e.QuorumListenOnAllIPs {
				a.Host = ""
			}
			all = append(all, listener{serverKey(e.MyID), a.Port, a.Host})
		}
	}
	return all
}

func serverKey(id zab.ServerID) string { return "server." + strconv.FormatInt(int64(id), 10) }

// membershipLines are what the server, group and weight lines say.
type membershipLines struct {
	members []zab.Member
	groups  []zab.Group
	weights []zab.Weight
	about   map[string]*given // by the name that zab.ViewError has for it: "server.2"
	first   *given            // the first server line
	servers int               // how many there are, readable or not
	broken  bool              // one of them could not be read
}

// readEnsemble decides from the server lines whether this server stands alone: without any, and with
// one alone unless standaloneEnabled=false (so it is in Apache, for the sake of HBase).
func (l *loader) readEnsemble() {
	lines := l.readMembership()
	if lines.servers == 0 {
		if !l.config.StandaloneEnabled && !l.unread {
			l.fail(l.about("standaloneEnabled"), "false needs at least one server line (or true, to run alone)")
		}
		l.warnID()
		return
	}
	l.lineUnknown = true
	lines = l.stored(lines)
	if view := l.view(lines); view != nil {
		l.decide(lines, view)
	}
}

func (l *loader) readMembership() *membershipLines {
	lines := &membershipLines{about: make(map[string]*given)}
	for i := range l.givens {
		g := &l.givens[i]
		if !g.obeyed || !membership(g.key) || l.chosen[g.slot()] != g {
			continue
		}
		if g.key.name == "server.*" {
			lines.servers++
			if lines.first == nil {
				lines.first = g
			}
		}
		if err := lines.read(g, l.config.MultiAddressEnabled); err != nil {
			lines.broken = true
			l.fail(g, "%v", err)
		}
	}
	return lines
}

func (lines *membershipLines) read(g *given, multiAddress bool) error {
	kind, digits, _ := strings.Cut(g.name, ".")
	id, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return notAnID(kind, digits)
	}
	switch kind {
	case "server":
		m, err := zab.ParseMember(zab.ServerID(id), g.value, multiAddress)
		if err != nil {
			return err
		}
		lines.members = append(lines.members, m)
	case "group":
		group, err := zab.ParseGroup(id, g.value)
		if err != nil {
			return err
		}
		lines.groups = append(lines.groups, group)
	case "weight":
		w, err := zab.ParseWeight(zab.ServerID(id), g.value)
		if err != nil {
			return err
		}
		lines.weights = append(lines.weights, w)
	}
	lines.about[kind+"."+strconv.FormatInt(id, 10)] = g
	return nil
}

// view puts the lines together, nil if they do not fit.
func (l *loader) view(lines *membershipLines) *zab.View {
	if lines.broken {
		return nil
	}
	view, err := zab.NewView(lines.members, lines.groups, lines.weights, wire.Zxid(l.version))
	if err == nil {
		return view
	}
	for _, e := range err.(zab.ViewErrors) {
		g := lines.about[e.Key]
		if g == nil {
			g = lines.first
		}
		l.fail(g, "%s", e.Text)
	}
	return nil
}

func (l *loader) decide(lines *membershipLines, view *zab.View) {
	participants, observers := view.Voters(), view.Observers()
	switch alone := l.config.StandaloneEnabled && len(participants) == 1; {
	case alone && len(observers) > 0:
		l.fail(lines.about[serverKey(observers[0])],
			"one participant stands alone, without observers (standaloneEnabled=false makes it an ensemble)")
	case alone:
		l.warn(lines.first, "the only server line: this server stands alone")
		l.warnID()
		m := view.Member(participants[0])
		l.takePorts(lines.first, m, l.myID.known && l.config.ServerID == int64(m.ID))
	default:
		l.joinEnsemble(lines, view)
	}
}

// joinEnsemble makes this server one of view.
func (l *loader) joinEnsemble(lines *membershipLines, view *zab.View) {
	l.inEnsemble = true
	l.checkEnsembleSettings()
	l.checkIDs(lines, view)
	l.lintView(lines, view)
	id, ok := l.requireID(view)
	if !ok {
		return
	}
	own := lines.about[serverKey(id)]
	l.checkPeerType(own, view.Member(id))
	l.takePorts(own, view.Member(id), true)
	e := &Ensemble{
		MyID: id, View: view, LastSeen: l.readNext(view), Marked: l.marked(), EnsembleSettings: l.config.EnsembleSettings,
	}
	e.MayBeEmpty = e.Marked || e.DBAutoCreate && l.chosen["db.autocreate"] != nil
	for _, peer := range e.listeners() {
		if peer.clash(l.config.clientListener()) {
			l.fail(own, "port %d is taken by clientPort", peer.port)
		}
	}
	l.config.Ensemble = e
}

// marked looks for the marker initialize. Apache looks for it beside the log, not beside myid.
func (l *loader) marked() bool {
	_, err := l.options.ReadFile(l.config.InitializeMarker())
	return err == nil
}

// takePorts takes the client ports of a server line. Where zoo.cfg has one too the two must agree if
// the line is that of this server by its myid; if not, Apache does not look at the line.
func (l *loader) takePorts(g *given, m *zab.Member, own bool) {
	c := l.config
	l.lineUnknown = false
	l.takePort(g, "clientPort", m.Client, own, &c.ClientPortAddress, &c.ClientPort)
	l.takePort(g, "secureClientPort", m.SecureClient, own, &c.SecureClientPortAddress, &c.SecureClientPort)
	if !m.SecureClient.None() {
		l.warn(g, "%d: %s", m.SecureClient.Port, whyTLS)
	}
}

func (l *loader) takePort(g *given, name string, a zab.Addr, own bool, host *string, port *int) {
	if a.None() {
		return
	}
	sameHost := wildcard(*host) || strings.EqualFold(strings.Trim(*host, "[]"), a.Host)
	if *port != 0 && (*port != a.Port || !sameHost) {
		const text = "port %d at %s is not the %s %d of %s"
		if own {
			l.fail(g, text, a.Port, a.Host, name, *port, l.about(name).where)
			return
		}
		l.warn(g, text+", which counts", a.Port, a.Host, name, *port, l.about(name).where)
		return
	}
	*port, *host = a.Port, a.Host
	l.config.origins[name] = g.where
	l.config.origins[name+"Address"] = g.where
}
