package admin

import (
	"math"
	"os"
	"os/user"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// This file is what there is to know of our own process.

func msDuration(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }

// environment lists what envi prints, in ZooKeeper's order. What only Java has is left out; java.version
// is not, because some scripts want it.
func (a *Admin) environment() object {
	m := memory()
	var e object
	e.set("zookeeper.version", a.version)
	e.set("host.name", hostName())
	e.set("java.version", runtime.Version())
	e.set("os.name", osName())
	e.set("os.arch", runtime.GOARCH)
	e.set("os.version", osVersion())
	e.set("user.name", userName())
	e.set("user.home", homeDir())
	e.set("user.dir", workDir())
	e.set("os.memory.free", megabytes(m.total-m.used))
	e.set("os.memory.max", megabytes(m.limit))
	e.set("os.memory.total", megabytes(m.total))
	return e
}

func megabytes(n uint64) string { return strconv.FormatUint(n>>20, 10) + "MB" }

func hostName() string { return known(os.Hostname()) }
func homeDir() string  { return known(os.UserHomeDir()) }
func workDir() string  { return known(os.Getwd()) }

func known(s string, err error) string {
	if err != nil {
		return "unknown"
	}
	return s
}

func userName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return strconv.Itoa(os.Getuid())
}

// osName is the system's name as Java spells it: Linux, not linux.
func osName() string { return strings.ToUpper(runtime.GOOS[:1]) + runtime.GOOS[1:] }

func osVersion() string {
	b, err := os.ReadFile("/proc/sys/kernel/osrelease")
	return known(strings.TrimSpace(string(b)), err)
}

// memoryUse is the collected heap, bytes. The tree's bulk lies outside of it.
type memoryUse struct {
	used, total uint64
	limit       uint64 // GOMEMLIMIT; where there is none, what the runtime has taken from the system
	gcRuns      uint64
	gcSeconds   float64 // CPU time spent on collecting
}

func memory() memoryUse {
	s := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/gc/cycles/total:gc-cycles"},
		{Name: "/cpu/classes/gc/total:cpu-seconds"},
	}
	metrics.Read(s)
	m := memoryUse{used: s[0].Value.Uint64(), total: s[1].Value.Uint64(), gcRuns: s[2].Value.Uint64(), gcSeconds: s[3].Value.Float64()}
	m.limit = m.total
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		m.limit = uint64(limit) //nolint:gosec // not negative
	}
	return m
}

// openFiles returns how many descriptors are open and may be; -1 where the system does not tell.
func openFiles() (open, limit int64) {
	open, limit = -1, -1
	if d, err := os.Open("/proc/self/fd"); err == nil {
		if names, err := d.Readdirnames(-1); err == nil {
			open = int64(len(names) - 1) // one is d's
		}
		_ = d.Close()
	}
	var r syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r) == nil {
		limit = int64(min(r.Cur, math.MaxInt64)) //nolint:gosec // held to the range
	}
	return open, limit
}

// threads returns the threads of the process, -1 where the system does not tell.
func threads() int64 {
	d, err := os.Open("/proc/self/task")
	if err != nil {
		return -1
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return -1
	}
	return int64(len(names))
}
