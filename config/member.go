package config

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Member is one server line: server.ID=host:quorum:election[:role][;[client host:]client port].
type Member struct {
	ID         int64
	Addresses  []MemberAddress // more than one only with multiAddress.enabled
	Observer   bool
	ClientHost string // 0.0.0.0 where the line names none
	ClientPort int    // 0 where the line names none
	SecureHost string
	SecurePort int
}

// MemberAddress is where one server talks to the others.
type MemberAddress struct {
	Host         string
	QuorumPort   int
	ElectionPort int
}

// parseMember reads "server.1" and what stands behind the '='.
func parseMember(name, value string) (*Member, error) {
	id, err := strconv.ParseInt(strings.TrimPrefix(name, "server."), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%q is not a server id (want server.1 and so on)",
			strings.TrimPrefix(name, "server."))
	}
	m := &Member{ID: id}
	parts := strings.Split(value, ";")
	if len(parts) > 3 {
		return nil, errors.New("more than two ';' (want host:2888:3888;clientPort;secureClientPort)")
	}
	for i, text := range strings.Split(parts[0], "|") {
		if err := m.addAddress(trim(text), i == 0); err != nil {
			return nil, err
		}
	}
	if len(parts) > 1 {
		if m.ClientHost, m.ClientPort, err = parseClientPart(parts[1]); err != nil {
			return nil, err
		}
	}
	if len(parts) > 2 {
		if m.SecureHost, m.SecurePort, err = parseClientPart(parts[2]); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// addAddress reads host:quorumPort:electionPort[:role]. All addresses have the same role.
func (m *Member) addAddress(text string, first bool) error {
	host, rest, err := cutHost(text)
	if err != nil {
		return err
	}
	words := strings.Split(rest, ":")
	if len(words) < 2 || len(words) > 3 {
		return fmt.Errorf("%q is not host:quorumPort:electionPort[:role] (for example zoo1:2888:3888)", text)
	}
	a := MemberAddress{Host: host}
	if a.QuorumPort, err = parsePort(words[0]); err != nil {
		return err
	}
	if a.ElectionPort, err = parsePort(words[1]); err != nil {
		return err
	}
	if a.QuorumPort == a.ElectionPort {
		return fmt.Errorf("quorum and election port are both %d", a.QuorumPort)
	}
	observer, err := parseRole(words[2:])
	if err != nil {
		return err
	}
	if !first && observer != m.Observer {
		return errors.New("the addresses of one server have different roles")
	}
	m.Observer = observer
	m.Addresses = append(m.Addresses, a)
	return nil
}

func parseRole(words []string) (observer bool, err error) {
	if len(words) == 0 {
		return false, nil
	}
	switch strings.ToLower(trim(words[0])) {
	case "participant":
		return false, nil
	case "observer":
		return true, nil
	}
	return false, fmt.Errorf("%q is neither participant nor observer", words[0])
}

// parseClientPart reads [host:]port; nothing at all is legal.
func parseClientPart(text string) (host string, port int, err error) {
	text = trim(text)
	if text == "" {
		return "", 0, nil
	}
	host, digits := "0.0.0.0", text
	if strings.Contains(text, ":") {
		if host, digits, err = cutHost(text); err != nil {
			return "", 0, err
		}
	}
	port, err = parsePort(digits)
	return host, port, err
}

// cutHost cuts at the first colon behind the host; an IPv6 address stands in brackets.
func cutHost(text string) (host, rest string, err error) {
	if inner, ok := strings.CutPrefix(text, "["); ok {
		host, rest, ok = strings.Cut(inner, "]:")
		if _, err := netip.ParseAddr(host); !ok || err != nil {
			return "", "", fmt.Errorf("%q does not begin with [IPv6 address]:port", text)
		}
		return host, rest, nil
	}
	host, rest, ok := strings.Cut(text, ":")
	if !ok || host == "" {
		return "", "", fmt.Errorf("%q does not begin with host:port", text)
	}
	return host, rest, nil
}

func parsePort(text string) (int, error) {
	n, err := parseInt(trim(text), false)
	if err != nil || n < 1 || n > maxPort {
		return 0, fmt.Errorf("%q is not a port (1 to %d)", text, maxPort)
	}
	return int(n), nil
}
