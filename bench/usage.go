package bench

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// usage is what processes have consumed so far.
type usage struct {
	user, system time.Duration
	rss, peak    int64 // bytes
}

func (u usage) plus(v usage) usage {
	return usage{u.user + v.user, u.system + v.system, u.rss + v.rss, u.peak + v.peak}
}

// clockTick is the unit of CPU times in /proc: USER_HZ, which is 100 wherever Go runs on Linux.
const clockTick = 10 * time.Millisecond

// usageOf reads the usage of a process on this machine, all threads that it has or had.
func usageOf(pid int) (usage, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return usage{}, fmt.Errorf("bench: process %d: %w", pid, err)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return usage{}, fmt.Errorf("bench: process %d: %w", pid, err)
	}
	u, err := parseUsage(stat, status)
	if err != nil {
		return usage{}, fmt.Errorf("bench: process %d: %w", pid, err)
	}
	return u, nil
}

var errProc = errors.New("/proc reads other than expected")

// parseUsage takes the texts of stat and status apart. Source: proc(5).
func parseUsage(stat, status []byte) (u usage, err error) {
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:]) // the name may hold anything
	const utime, stime = 11, 12                                     // fields 14 and 15, the third being fields[0]
	if len(fields) <= stime {
		return u, errProc
	}
	user, err1 := strconv.ParseInt(string(fields[utime]), 10, 64)
	system, err2 := strconv.ParseInt(string(fields[stime]), 10, 64)
	if err1 != nil || err2 != nil {
		return u, errProc
	}
	u.user, u.system = time.Duration(user)*clockTick, time.Duration(system)*clockTick
	u.rss, u.peak = kilobytes(status, "VmRSS:"), kilobytes(status, "VmHWM:")
	return u, nil
}

// kilobytes returns a size of /proc/PID/status in bytes, 0 where it is missing: a zombie has none.
func kilobytes(status []byte, key string) int64 {
	for line := range bytes.Lines(status) {
		if f := bytes.Fields(line); len(f) >= 2 && string(f[0]) == key {
			n, _ := strconv.ParseInt(string(f[1]), 10, 64)
			return n << 10
		}
	}
	return 0
}

// ownUsage is the usage of this process, to the microsecond.
func ownUsage() (usage, error) {
	u, err := usageOf(os.Getpid())
	if err != nil {
		return usage{}, err
	}
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		return usage{}, err
	}
	u.user, u.system = time.Duration(r.Utime.Nano()), time.Duration(r.Stime.Nano())
	return u, nil
}

// sample is the usage of the generator and of the servers that it knows, at one time.
type sample struct{ own, servers usage }

func takeSample(pids []int) (s sample, err error) {
	if s.own, err = ownUsage(); err != nil {
		return s, err
	}
	for _, pid := range pids {
		u, err := usageOf(pid)
		if err != nil {
			return s, err
		}
		s.servers = s.servers.plus(u)
	}
	return s, nil
}
