package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"paddock/config"
	"paddock/server"
	"paddock/zab"
)

// ensembleConfig says in the server's words who the others are; nil for a server that stands alone.
func ensembleConfig(cfg *config.Config) *server.Ensemble {
	e := cfg.Ensemble
	if e == nil {
		return nil
	}
	return &server.Ensemble{
		ID: e.MyID, View: e.View, LastSeen: e.LastSeen,
		InitTicks: int64(e.InitLimit), SyncTicks: int64(e.SyncLimit), ConnectTicks: int64(e.ConnectLimit),
		SnapForTrunc: e.SnapForTrunc,
		AllIPs:       e.QuorumListenOnAllIPs, MultiAddress: e.MultiAddressEnabled, BindRetries: bindRetries(e),
		DialTimeout: e.CnxTimeout, GreetingTimeout: e.QuorumCnxnTimeout,
		MaxPacketBytes:  maxPacketBytes(cfg),
		ClosedToClients: !e.LeaderServes,
		MayBeEmpty:      e.MayBeEmpty,
		OnView:          func(v *zab.View, agreed bool) error { return keepView(cfg, v, agreed) },
	}
}

// bindRetries: 0 means for ever in zoo.cfg, and the default to the server.
func bindRetries(e *config.Ensemble) int {
	if e.ElectionPortBindRetry == 0 {
		return -1
	}
	return e.ElectionPortBindRetry
}

// maxPacketBytes is what another server may send at once: the largest request with what a transaction
// adds to it, and never less than the server's default, which leaves room for multis.
func maxPacketBytes(cfg *config.Config) int {
	return max(16<<20, cfg.JuteMaxBuffer+cfg.JuteExtraSize)
}

// keepView writes a membership that a reconfig has made where the next start looks for it. What is
// proposed is of no use any more when something as late is in force.
func keepView(cfg *config.Config, v *zab.View, agreed bool) error {
	if !agreed {
		return replaceFile(cfg.NextMembershipFile(), v.Text())
	}
	if err := replaceFile(cfg.MembershipFile(), v.Text()); err != nil {
		return err
	}
	if err := os.Remove(cfg.NextMembershipFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// replaceFile writes a file as a whole or not at all, durably.
func replaceFile(name string, contents []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".tmp-*")
	if err != nil {
		return err
	}
	_, err = f.Write(contents)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(filepath.Dir(name))
}

func syncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// useMarker removes the marker initialize when the server has noted it: what it allows, it allows once.
func useMarker(cfg *config.Config, log *slog.Logger) error {
	if cfg.Ensemble == nil || !cfg.Ensemble.Marked {
		return nil
	}
	name := cfg.InitializeMarker()
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the marker that lets an empty server vote counts once, and cannot be removed: %w", err)
	}
	log.Info("the marker initialize was found, and is removed: it counts once", "marker", name)
	return nil
}

// ensembleFacts are the attributes of the line that says that the server is up.
func ensembleFacts(cfg *config.Config) []any {
	e := cfg.Ensemble
	if e == nil {
		return nil
	}
	return []any{"server", e.MyID, "role", e.Self().Role, "quorum", e.QuorumAddrs(), "election", e.ElectionAddrs(),
		"ensemble", strings.Join(serverIDs(e), ",")}
}

func serverIDs(e *config.Ensemble) (ids []string) {
	for _, m := range e.View.Members() {
		ids = append(ids, fmt.Sprint(m.ID))
	}
	return ids
}

// printEnsemble prints who is in the ensemble. The server whose configuration it is has a star.
func printEnsemble(w io.Writer, e *config.Ensemble) error {
	if e == nil {
		_, err := fmt.Fprintln(w, "This server stands alone.")
		return err
	}
	fmt.Fprintf(w, "Server %d of an ensemble of %d, version %x; %s.\n\n", e.MyID, e.View.Len(), int64(e.View.Version), tolerance(e.View))
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SERVER\tROLE\tWEIGHT\tGROUP\tQUORUM\tELECTION\tCLIENTS")
	for _, m := range e.View.Members() {
		mark := ""
		if m.ID == e.MyID {
			mark = "*"
		}
		fmt.Fprintf(table, "%d%s\t%s\t%s\t%s\t%s\t%s\t%s\n", m.ID, mark, m.Role, weight(e.View, &m), group(e.View, m.ID),
			addresses(m.Peers, zab.PeerAddr.Quorum), addresses(m.Peers, zab.PeerAddr.Election), clients(m.Client))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w)
	return err
}

// tolerance says how many may be missing. Groups and weights have no such number.
func tolerance(v *zab.View) string {
	if v.Hierarchical() {
		return "groups and weights decide what is a quorum"
	}
	n := len(v.Voters())
	return fmt.Sprintf("%d of %d participants are a quorum", n/2+1, n)
}

func weight(v *zab.View, m *zab.Member) string {
	switch {
	case m.Role == zab.Observer:
		return "-"
	case v.Hierarchical():
		return fmt.Sprint(v.Weight(m.ID))
	}
	return "1"
}

func group(v *zab.View, id zab.ServerID) string {
	for _, g := range v.Groups() {
		for _, member := range g.Members {
			if member == id {
				return fmt.Sprint(g.ID)
			}
		}
	}
	return "-"
}

func addresses(peers []zab.PeerAddr, of func(zab.PeerAddr) zab.Addr) string {
	var all []string
	for _, p := range peers {
		all = append(all, of(p).String())
	}
	return strings.Join(all, "|")
}

func clients(a zab.Addr) string {
	if a.None() {
		return "-"
	}
	return a.String()
}
