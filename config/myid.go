package config

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"paddock/zab"
)

// Server ids that an ensemble may use: an id is the first byte of the sessions that begin at its
// server, and where there are TTL nodes 255 is theirs.
const (
	minID         = 1
	maxID         = 255
	maxIDWithTTLs = 254
)

// myID is what is known of the id of this server.
type myID struct {
	at    *given // where it was found, or should have been
	known bool   // Config.ServerID is it
	fault string // why not
}

// readID reads the first line of dataDir/myid. What is wrong with it is said by those who know
// whether it matters.
func (l *loader) readID() {
	if l.config.DataDir == "" {
		l.myID = myID{at: l.about("dataDir"), fault: "without it there is no myid"}
		return
	}
	name := filepath.Join(l.config.DataDir, "myid")
	l.myID.at = &given{where: name, order: len(l.givens)}
	contents, err := l.options.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return
	case err != nil:
		l.myID.fault = cause(err).Error()
		return
	}
	line, _, _ := strings.Cut(trim(string(contents)), "\n")
	l.parseID(trim(line))
}

func (l *loader) parseID(text string) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		l.myID.fault = fmt.Sprintf("%.20q is not a server id (one whole number, for example 1)", text)
		return
	}
	l.config.ServerID, l.myID.known = id, true
}

// warnID names what is odd about myid in a server that stands alone: it has no use for it, and the
// file that a package put there may hold nothing but advice. Apache 3.4 started with it.
func (l *loader) warnID() {
	if l.myID.fault != "" && l.config.DataDir != "" {
		l.warn(l.myID.at, "%s; an ensemble will need it", l.myID.fault)
	}
	if env := l.otherID(); l.fromImage && env != "" {
		l.warn(l.myID.at, "says %d and counts; ZOO_MY_ID says %s", l.config.ServerID, env)
	}
}

// otherID returns what ZOO_MY_ID says where the file says something else.
func (l *loader) otherID() string {
	env := trim(l.env("ZOO_MY_ID"))
	if !l.myID.known || env == strconv.FormatInt(l.config.ServerID, 10) {
		return ""
	}
	return env
}

// requireID finds the id of this server among those of the view. The entry point of the official
// image writes the file from ZOO_MY_ID when there is none.
func (l *loader) requireID(view *zab.View) (zab.ServerID, bool) {
	if env := trim(l.env("ZOO_MY_ID")); !l.myID.known && l.myID.fault == "" && env != "" {
		l.myID.at = &given{where: "ZOO_MY_ID", order: len(l.givens)}
		l.parseID(env)
	}
	id := zab.ServerID(l.config.ServerID)
	most := maxID
	if l.config.ExtendedTypesEnabled {
		most = maxIDWithTTLs
	}
	switch {
	case l.myID.fault != "":
		l.fail(l.myID.at, "%s", l.myID.fault)
	case !l.myID.known:
		l.fail(l.myID.at, "missing: it holds the N of this server's own line server.N (one of %s)", listIDs(view))
	case l.otherID() != "":
		l.fail(l.myID.at, "says %d, and ZOO_MY_ID says %s: which of the servers is this?", id, l.otherID())
	case view.Member(id) == nil:
		l.fail(l.myID.at, "there is no line server.%d (there are %s)", id, listIDs(view))
	case id > zab.ServerID(most):
		l.fail(l.myID.at, "%d is out of range: with extendedTypesEnabled a server id is %d to %d", id, minID, most)
	default:
		return id, true
	}
	return 0, false
}

func listIDs(view *zab.View) string {
	var words []string
	for _, m := range view.Members() {
		words = append(words, strconv.FormatInt(int64(m.ID), 10))
	}
	return strings.Join(words, ", ")
}
