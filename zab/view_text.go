package zab

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"paddock/wire"
)

// The text of a view, as it travels in notifications, NEWLEADER and /zookeeper/config:
//
//	server.1=zoo1:2888:3888:participant;0.0.0.0:2181
//	group.1=1:2:3                    (with groups only)
//	weight.1=1                       (with groups only)
//	version=100000003                (hexadecimal; no line end behind it)
//
// Source: QuorumMaj.toString, QuorumHierarchical.toString, QuorumPeer.QuorumServer, ZooKeeper 3.10.

const (
	maxTextBytes = 512 << 10 // the longest notification of the election port
	maxHostBytes = 255       // of DNS
)

// Text returns the canonical text of v, which ParseView reads. The caller must not change it.
func (v *View) Text() []byte { return v.text }

func (v *View) String() string { return string(v.text) }

func (v *View) appendText(dst []byte) []byte {
	for i := range v.members {
		m := &v.members[i]
		dst = append(strconv.AppendInt(append(dst, "server."...), int64(m.ID), 10), '=')
		dst = append(m.AppendText(dst), '\n')
	}
	for _, g := range v.groups {
		dst = append(strconv.AppendInt(append(dst, "group."...), g.ID, 10), '=')
		for i, id := range g.Members {
			if i > 0 {
				dst = append(dst, ':')
			}
			dst = strconv.AppendInt(dst, int64(id), 10)
		}
		dst = append(dst, '\n')
	}
	for _, w := range v.weights {
		dst = append(strconv.AppendInt(append(dst, "weight."...), int64(w.ID), 10), '=')
		dst = append(strconv.AppendInt(dst, w.Weight, 10), '\n')
	}
	return strconv.AppendInt(append(dst, "version="...), int64(v.Version), 16)
}

// AppendText appends what stands behind "server.N=": the role is always there, once.
func (m *Member) AppendText(dst []byte) []byte {
	for i, p := range m.Peers {
		if i > 0 {
			dst = append(dst, '|')
		}
		dst = append(appendJavaHost(dst, p.Host), ':')
		dst = append(strconv.AppendInt(dst, int64(p.QuorumPort), 10), ':')
		dst = strconv.AppendInt(dst, int64(p.ElectionPort), 10)
	}
	dst = append(append(dst, ':'), m.Role.String()...)
	if !m.Client.None() {
		dst = appendClient(append(dst, ';'), m.Client)
	}
	if !m.SecureClient.None() {
		if m.Client.None() {
			dst = append(dst, ';')
		}
		dst = appendClient(append(dst, ';'), m.SecureClient)
	}
	return dst
}

func appendClient(dst []byte, a Addr) []byte {
	return strconv.AppendInt(append(appendJavaHost(dst, a.Host), ':'), int64(a.Port), 10)
}

func appendJavaHost(dst []byte, host string) []byte {
	if host = javaHost(host); strings.Contains(host, ":") {
		return append(append(append(dst, '['), host...), ']')
	}
	return append(dst, host...)
}

// javaHost spells a host as Java does: an IPv6 address with all of its zeros.
func javaHost(host string) string {
	ip, err := netip.ParseAddr(host)
	if err != nil || ip.Is4() {
		return host
	}
	var dst []byte
	b := ip.As16()
	for i := 0; i < len(b); i += 2 {
		if i > 0 {
			dst = append(dst, ':')
		}
		dst = strconv.AppendUint(dst, uint64(b[i])<<8|uint64(b[i+1]), 16)
	}
	if zone := ip.Zone(); zone != "" {
		dst = append(append(dst, '%'), zone...)
	}
	return string(dst)
}

// ParseView reads the text of a view: a properties file of server, group, weight and version lines, and
// of nothing else. It keeps nothing of text. A missing version is 0.
func ParseView(text []byte) (*View, error) {
	if len(text) > maxTextBytes {
		return nil, fmt.Errorf("zab: a view of %d bytes, more than %d", len(text), maxTextBytes)
	}
	if !utf8.Valid(text) {
		return nil, errors.New("zab: a view that is not UTF-8")
	}
	p := viewParser{version: -1}
	if err := eachProperty(string(text), p.line); err != nil {
		return nil, fmt.Errorf("zab: view: %w", err)
	}
	v, err := NewView(p.members, p.groups, p.weights, max(p.version, 0))
	if err != nil {
		return nil, fmt.Errorf("zab: view: %w", err)
	}
	return v, nil
}

type viewParser struct {
	members []Member
	groups  []Group
	weights []Weight
	version wire.Zxid // -1: not seen yet
}

func (p *viewParser) line(key, value string) error {
	if key == "version" {
		return p.versionLine(value)
	}
	kind, digits, _ := strings.Cut(key, ".")
	id, idErr := strconv.ParseInt(digits, 10, 64)
	switch kind {
	case "server", "group", "weight":
	default:
		return fmt.Errorf("%.40q is not server.N, group.N, weight.N or version", key)
	}
	if idErr != nil {
		return fmt.Errorf("%.40q: want %s. and a whole number", key, kind)
	}
	if err := p.numbered(kind, id, value); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

func (p *viewParser) numbered(kind string, id int64, value string) error {
	switch kind {
	case "server":
		if len(p.members) == maxMembers {
			return fmt.Errorf("more than %d servers", maxMembers)
		}
		m, err := ParseMember(ServerID(id), value, true)
		p.members = append(p.members, m)
		return err
	case "group":
		g, err := ParseGroup(id, value)
		p.groups = append(p.groups, g)
		return err
	}
	w, err := ParseWeight(ServerID(id), value)
	p.weights = append(p.weights, w)
	return err
}

func (p *viewParser) versionLine(value string) error {
	n, err := strconv.ParseUint(value, 16, 63)
	if err != nil {
		return fmt.Errorf("version %.40q is not a hexadecimal number", value)
	}
	if p.version >= 0 {
		return errors.New("there are two versions")
	}
	p.version = wire.Zxid(n)
	return nil
}

// ParseMember reads what stands behind "server.N=":
//
//	host:quorumPort:electionPort[:role]{|host:quorumPort:electionPort[:role]}[;[[host:]clientPort][;[host:]secureClientPort]]
//
// The alternatives behind "|" are refused unless multiAddress. Names are not resolved.
func ParseMember(id ServerID, value string, multiAddress bool) (Member, error) {
	parts := strings.Split(value, ";")
	if len(parts) > 3 {
		return Member{}, errors.New("more than two ';' (want host:2888:3888;clientPort;secureClientPort)")
	}
	m := Member{ID: id}
	if err := m.parsePeers(parts[0], multiAddress); err != nil {
		return Member{}, err
	}
	for i, addr := range []*Addr{&m.Client, &m.SecureClient} {
		if len(parts) > i+1 {
			var err error
			if *addr, err = parseClient(parts[i+1]); err != nil {
				return Member{}, err
			}
		}
	}
	if err := m.normalize(); err != nil {
		return Member{}, err
	}
	return m, nil
}

// parsePeers reads the part before the first ";". A role may stand at each of the alternatives; Java
// writes it at the last one only.
func (m *Member) parsePeers(text string, multiAddress bool) error {
	alternatives := strings.Split(text, "|")
	if len(alternatives) > 1 && !multiAddress {
		return errors.New("more than one address needs multiAddress.enabled=true")
	}
	if len(alternatives) > maxAddresses {
		return fmt.Errorf("%d addresses of one server, more than %d", len(alternatives), maxAddresses)
	}
	stated := false
	for _, alternative := range alternatives {
		p, role, err := parsePeer(trim(alternative))
		if err != nil {
			return err
		}
		m.Peers = append(m.Peers, p)
		if role == "" {
			continue
		}
		r, err := ParseRole(role)
		switch {
		case err != nil:
			return err
		case stated && r != m.Role:
			return errors.New("the addresses of one server have different roles")
		}
		m.Role, stated = r, true
	}
	return nil
}

func parsePeer(text string) (p PeerAddr, role string, err error) {
	host, rest, err := cutHost(text)
	if err != nil {
		return p, "", err
	}
	words := strings.Split(rest, ":")
	if len(words) < 2 || len(words) > 3 {
		hint := "for example zoo1:2888:3888"
		if strings.Count(text, ":") > 3 {
			hint = "an IPv6 address stands in brackets: [::1]:2888:3888"
		}
		return p, "", fmt.Errorf("%.80q is not host:quorumPort:electionPort[:role] (%s)", text, hint)
	}
	p.Host = host
	if p.QuorumPort, err = parsePort(words[0]); err != nil {
		return p, "", err
	}
	if p.ElectionPort, err = parsePort(words[1]); err != nil {
		return p, "", err
	}
	if len(words) == 3 {
		role = trim(words[2]) // nothing behind the colon is a participant for Java
	}
	return p, role, nil
}

// ParseRole reads "participant" or "observer", in any case.
func ParseRole(text string) (Role, error) {
	switch strings.ToLower(trim(text)) {
	case "participant":
		return Participant, nil
	case "observer":
		return Observer, nil
	}
	return 0, fmt.Errorf("%.40q is neither participant nor observer", text)
}

// parseClient reads [host:]port; nothing at all is legal.
func parseClient(text string) (Addr, error) {
	text = trim(text)
	if text == "" {
		return Addr{}, nil
	}
	a, digits := Addr{Host: "0.0.0.0"}, text
	var err error
	if strings.Contains(text, ":") {
		if a.Host, digits, err = cutHost(text); err != nil {
			return Addr{}, err
		}
	}
	if a.Port, err = parsePort(digits); err != nil {
		return Addr{}, err
	}
	return a, nil
}

// cutHost cuts at the first colon behind the host; an IPv6 address stands in brackets.
func cutHost(text string) (host, rest string, err error) {
	if inner, ok := strings.CutPrefix(text, "["); ok {
		host, rest, ok = strings.Cut(inner, "]:")
		if _, err := netip.ParseAddr(host); !ok || err != nil {
			return "", "", fmt.Errorf("%.80q does not begin with [IPv6 address]:port", text)
		}
		return host, rest, nil
	}
	host, rest, ok := strings.Cut(text, ":")
	if host = trim(host); !ok || host == "" {
		return "", "", fmt.Errorf("%.80q does not begin with host:port", text)
	}
	return host, rest, nil
}

func parsePort(text string) (int, error) {
	n, err := strconv.ParseUint(trim(text), 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%.40q is not a port (1 to 65535)", text)
	}
	return int(n), nil
}

// ParseGroup reads what stands behind "group.N=": server ids with colons between them.
func ParseGroup(id int64, value string) (Group, error) {
	g := Group{ID: id}
	words := strings.Split(value, ":")
	if len(words) > maxMembers {
		return g, fmt.Errorf("%d servers in one group, more than %d", len(words), maxMembers)
	}
	for _, word := range words {
		n, err := strconv.ParseInt(trim(word), 10, 64)
		if err != nil {
			return g, fmt.Errorf("%.40q is not a list of server ids (for example 1:2:3)", value)
		}
		g.Members = append(g.Members, ServerID(n))
	}
	return g, nil
}

// ParseWeight reads what stands behind "weight.N=".
func ParseWeight(id ServerID, value string) (Weight, error) {
	n, err := strconv.ParseInt(trim(value), 10, 64)
	if err != nil || n < 0 || n > maxWeight {
		return Weight{}, fmt.Errorf("%.40q is not a weight (a whole number, 0 to %d)", value, int64(maxWeight))
	}
	return Weight{id, n}, nil
}

// normalize checks one member by itself and spells its addresses in the one way that can be compared.
func (m *Member) normalize() error {
	if m.Role != Participant && m.Role != Observer {
		return fmt.Errorf("role %d is neither participant nor observer", m.Role)
	}
	if len(m.Peers) == 0 || len(m.Peers) > maxAddresses {
		return fmt.Errorf("%d addresses (want 1 to %d)", len(m.Peers), maxAddresses)
	}
	for i := range m.Peers {
		m.Peers[i].Host = normalHost(m.Peers[i].Host)
	}
	m.Client.Host, m.SecureClient.Host = normalHost(m.Client.Host), normalHost(m.SecureClient.Host)
	slices.SortFunc(m.Peers, comparePeers)
	addresses := m.addresses()
	for i, a := range addresses {
		if err := a.addr.check(); err != nil {
			return err
		}
		for _, b := range addresses[:i] {
			if err := clash(a, b); err != nil {
				return err
			}
		}
	}
	return nil
}

// comparePeers orders by host as Java does, and then by port, so that there is one order.
func comparePeers(a, b PeerAddr) int {
	if c := strings.Compare(javaHost(a.Host), javaHost(b.Host)); c != 0 {
		return c
	}
	if a.QuorumPort != b.QuorumPort {
		return a.QuorumPort - b.QuorumPort
	}
	return a.ElectionPort - b.ElectionPort
}

// named is an address of a server, and what it is for.
type named struct {
	what   string
	addr   Addr
	client bool
}

func (m *Member) addresses() []named {
	var all []named
	for _, p := range m.Peers {
		all = append(all, named{"quorum address", p.Quorum(), false}, named{"election address", p.Election(), false})
	}
	if !m.Client.None() {
		all = append(all, named{"client address", m.Client, true})
	}
	if !m.SecureClient.None() {
		all = append(all, named{"secure client address", m.SecureClient, true})
	}
	return all
}

// clash says why one server cannot have both addresses.
func clash(a, b named) error {
	switch {
	case !a.addr.clash(b.addr):
		return nil
	case a.what == "election address" && b.what == "quorum address":
		return fmt.Errorf("quorum and election port are both %d", a.addr.Port)
	case a.what == b.what:
		return fmt.Errorf("the %s %v is there twice", a.what, a.addr)
	}
	return fmt.Errorf("the %s %v is in the way of the %s %v", b.what, b.addr, a.what, a.addr)
}

func (a Addr) check() error {
	if a.Port < 1 || a.Port > 65535 {
		return fmt.Errorf("%d is not a port (1 to 65535)", a.Port)
	}
	if a.Host == "" || len(a.Host) > maxHostBytes {
		return fmt.Errorf("a host name of %d bytes (want 1 to %d)", len(a.Host), maxHostBytes)
	}
	if ip, err := netip.ParseAddr(a.Host); err == nil && ip.Zone() == "" {
		return nil
	}
	if i := strings.IndexFunc(a.Host, notInHost); i >= 0 {
		return fmt.Errorf("%.80q is not a host name", a.Host)
	}
	if _, err := netip.ParseAddr(a.Host); err != nil && strings.ContainsAny(a.Host, ":%") {
		return fmt.Errorf("%.80q is neither a host name nor an IP address", a.Host)
	}
	return nil
}

// notInHost says which runes no host has: those that mean something in the text of a view, or in the
// lists of a reconfiguration, and what cannot be seen.
func notInHost(r rune) bool {
	return r == utf8.RuneError || unicode.IsSpace(r) || !unicode.IsPrint(r) || strings.ContainsRune(`;|=[],\#!/"'@`, r)
}

// normalHost spells an IP address as netip does. IPv4 in IPv6 is IPv4, as in Java.
func normalHost(host string) string {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().String()
	}
	return host
}

// trim cuts what Java's String.trim cuts: everything up to and including the blank.
func trim(s string) string { return strings.TrimFunc(s, func(r rune) bool { return r <= ' ' }) }

// eachProperty calls f with the pairs of a Java properties file, trimmed, in order, until it fails. The
// error names the line.
func eachProperty(text string, f func(key, value string) error) error {
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		number := i + 1
		line := strings.TrimLeft(lines[i], blanks)
		if line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		last := i
		for last+1 < len(lines) && continued(lines[last]) {
			last++
		}
		key, value, err := splitProperty(joinLines(lines[i : last+1]))
		i = last
		if err == nil && key+value != "" {
			err = f(key, value)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
	}
	return nil
}

// joinLines joins a line and those that continue it.
func joinLines(lines []string) string {
	var b strings.Builder
	for i, line := range lines {
		if i+1 < len(lines) {
			line = line[:len(line)-1] // the backslash
		}
		b.WriteString(strings.TrimLeft(line, blanks))
	}
	return b.String()
}

const blanks = " \t\f" // white space to java.util.Properties, line ends apart

// continued reports whether a line ends in a backslash that is not itself escaped.
func continued(line string) bool {
	return (len(line)-len(strings.TrimRight(line, `\`)))%2 == 1
}

// splitProperty cuts a line at its first separator: '=', ':' or blanks, with blanks around it.
func splitProperty(line string) (key, value string, err error) {
	end := 0
	for end < len(line) && !strings.ContainsRune("=:"+blanks, rune(line[end])) {
		if line[end] == '\\' {
			end++ // what is escaped separates nothing
		}
		end++
	}
	end = min(end, len(line))
	rest := strings.TrimLeft(line[end:], blanks)
	if rest != "" && (rest[0] == '=' || rest[0] == ':') {
		rest = rest[1:]
	}
	if key, err = unescape(line[:end]); err != nil {
		return "", "", err
	}
	value, err = unescape(strings.TrimLeft(rest, blanks))
	return trim(key), trim(value), err
}

// unescape resolves backslashes: \t, \n, \r, \f, \u and four digits; before all else they fall away.
func unescape(s string) (string, error) {
	if !strings.Contains(s, `\`) {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		if i++; i == len(s) {
			break
		}
		switch s[i] {
		case 't', 'n', 'r', 'f':
			b.WriteByte("\t\n\r\f"[strings.IndexByte("tnrf", s[i])])
		case 'u':
			if len(s)-i < 5 {
				return "", errors.New(`\u needs four hexadecimal digits`)
			}
			n, err := strconv.ParseUint(s[i+1:i+5], 16, 16)
			if err != nil {
				return "", errors.New(`\u needs four hexadecimal digits`)
			}
			b.WriteRune(rune(n)) // half of a pair becomes U+FFFD, which no name has
			i += 4
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String(), nil
}
