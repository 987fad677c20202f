package edge

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"paddock/test/harness"
	"paddock/wire"
)

// Facts 119 to 127: four-letter words, quotas, limits of connections.
var miscFacts = []fact{
	{119, "the node count counts the root twice", untouched, func(t *testing.T, s *server) {
		equal(t, "srvr", line(s.word(t, "srvr"), "Node count: "), "5")
		equal(t, "mntr", line(s.word(t, "mntr"), "zk_znode_count\t"), "5")
		size := 44
		if s.others != nil { // whose members keep their list in /zookeeper/config
			config, _ := s.open(t).get("/zookeeper/config")
			size += len(config)
		}
		equal(t, "mntr, with the root's path once", line(s.word(t, "mntr"), "zk_approximate_data_size\t"), strconv.Itoa(size))
	}},
	{120, "wchs, wchc and wchp ignore child watches, zk_watch_count does not", quiet, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		c.watch(wire.OpGetChildren, root)
		equal(t, "wchs", s.word(t, "wchs"), "0 connections watching 0 paths\nTotal watches:0\n")
		equal(t, "wchp", s.word(t, "wchp"), "\n")
		equal(t, "wchc", s.word(t, "wchc"), "\n")
		c.watch(wire.OpGetData, root)
		equal(t, "wchs", s.word(t, "wchs"), "1 connections watching 1 paths\nTotal watches:1\n")
		id := fmt.Sprintf("%#x", c.Session.SessionID)
		equal(t, "wchp", s.word(t, "wchp"), root+"\n\t"+id+"\n\n")
		equal(t, "wchc", s.word(t, "wchc"), id+"\n\t"+root+"\n\n")
		equal(t, "mntr", line(s.word(t, "mntr"), "zk_watch_count\t"), "2")
	}},
	{121, "isro and ruok answer without a newline", plain, func(t *testing.T, s *server) {
		equal(t, "ruok", s.word(t, "ruok"), "imok")
		equal(t, "isro", s.word(t, "isro"), "rw")
		equal(t, "ruok and a newline", s.word(t, "ruok\n"), "imok")
	}},
	{122, "a disabled word answers with the whitelist sentence", silent, func(t *testing.T, s *server) {
		for _, word := range []string{"ruok", "mntr", "wchp", "conf", "isro", "envi"} {
			equal(t, word, s.word(t, word), word+" is not executed because it is not in the whitelist.\n")
		}
		if got := s.word(t, "srvr"); !strings.HasPrefix(got, "Zookeeper version: ") {
			t.Errorf("srvr is always enabled, got %q", got)
		}
		for _, unknown := range []string{"kill", "RUOK", "abcd", "reqs"} {
			equal(t, unknown, s.word(t, unknown), "")
		}
	}},
	{123, "a word may come in pieces, the mask of stmk may not", plain, func(t *testing.T, s *server) {
		c := s.dial(t)
		for _, piece := range []string{"r", "uo", "k"} {
			c.write([]byte(piece))
		}
		text, err := c.ReadText()
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "ruok in pieces", text, "imok")
		mask := fields().Raw([]byte("stmk")...).Long(306)
		equal(t, "stmk with its mask", s.word(t, string(mask)), "306")
		equal(t, "stmk alone", s.word(t, "stmk"), "")
		equal(t, "gtmk", s.word(t, "gtmk"), "306")

		n := s.open(t) // on a session the same bytes are a length that no frame may have
		n.write([]byte("ruok"))
		n.wantClosed()
	}},
	{124, "quota statistics change no Stat but dataLength", plain, quotaStatistics},
	{125, "hard quotas look at committed usage only", quota, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		c.limit(root, "count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=2")
		results := c.multi(
			part(wire.OpCreate, creation(root+"/a", "", persistent)),
			part(wire.OpCreate, creation(root+"/b", "", persistent)),
			part(wire.OpCreate, creation(root+"/c", "", persistent)))
		equal(t, "multi with one slot left", results.codes(), []wire.Code{0, 0, 0})
		c.leaderCatchesUp()
		c.want(wire.QuotaExceeded, wire.OpCreate, creation(root+"/d", "", persistent))
		c.auth("digest", superAuth)
		c.want(wire.QuotaExceeded, wire.OpCreate, creation(root+"/d", "", persistent))
		c.delete(root + "/a")
		c.delete(root + "/b")
		c.delete(root + "/c")
		c.leaderCatchesUp()
		c.create(root + "/d")
		c.leaderCatchesUp()
		c.want(wire.QuotaExceeded, wire.OpCreate, creation(root+"/e", "", persistent))
	}},
	{126, "the 61st connection of an address is accepted and closed", crowded, func(t *testing.T, s *server) {
		// The connection that asked whether the server serves may still count: try until sixty stand.
		for deadline := time.Now().Add(5 * time.Second); ; {
			if ok := sixtyOne(t, s); ok {
				return
			}
			if time.Now().After(deadline) {
				t.Fatal("never had sixty connections with the 61st refused")
			}
		}
	}},
	{127, "a connection that says nothing lives 10 to 20 s", plain, func(t *testing.T, s *server) {
		start := time.Now()
		c := s.dial(t)
		if err := c.AwaitClose(30 * time.Second); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d < 10*time.Second || d > 22*time.Second {
			t.Errorf("closed after %v, want 10 s to 20 s", d)
		}
	}},
}

func sixtyOne(t *testing.T, s *server) bool {
	const limit = 60
	var conns []*harness.Conn
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	for range limit {
		c, err := harness.Open(s.addr, 4000)
		if err != nil {
			return false
		}
		conns = append(conns, c)
	}
	c, err := harness.Dial(s.addr)
	if err != nil {
		return true // closed so soon that we did not see it accepted
	}
	defer c.Close()
	return c.AwaitClose(5*time.Second) == nil
}

// word asks a four-letter word.
func (s *server) word(t *testing.T, word string) string {
	t.Helper()
	text, err := harness.Word(s.addr, word)
	if err != nil {
		t.Fatalf("%s: %v", word, err)
	}
	return text
}

// line returns what follows prefix on the line of text that begins with it.
func line(text, prefix string) string {
	for l := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(l, prefix); ok {
			return strings.TrimSuffix(rest, "\n")
		}
	}
	return "no line " + strconv.Quote(prefix) + " in " + strconv.Quote(text)
}

func quotaStatistics(t *testing.T, s *server) {
	c := s.open(t)
	root := c.root()
	c.createAs(root+"/x", "12345", persistent)
	c.limit(root, "count=100,bytes=1000")
	stats := "/zookeeper/quota" + root + "/zookeeper_stats"
	data, before := c.get(stats)
	equal(t, "recounted", string(data), "count=2,bytes=5")
	equal(t, "dataLength", before.DataLength, int32(len(data)))

	c.createAs(root+"/y", "1234567890", persistent)
	c.set(root, "1")
	data, after := c.get(stats)
	equal(t, "after a create and a setData", string(data), "count=3,bytes=16")
	want := before
	want.DataLength++
	equal(t, "stat", after, want)
	c.delete(root + "/y")
	data, after = c.get(stats)
	equal(t, "after a delete", string(data), "count=2,bytes=6")
	equal(t, "stat", after, before)

	c.set(stats, "count=50,bytes=60")
	c.create(root + "/z")
	data, _ = c.get(stats)
	equal(t, "counting goes on from what a client wrote", string(data), "count=51,bytes=60")
}

func sorted(all []string) []string {
	slices.Sort(all)
	return all
}

func hasSuffix(s, suffix string) bool { return strings.HasSuffix(s, suffix) }
