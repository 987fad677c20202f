package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// describeMachine says where the figures come from: processor, memory, kernel, and the disk below dir,
// whose fdatasync bounds every write.
func describeMachine(dir string) string {
	var u unix.Utsname
	kernel := "unknown"
	if unix.Uname(&u) == nil {
		kernel = unix.ByteSliceToString(u.Release[:])
	}
	return fmt.Sprintf("%d × %s, %s of memory, Linux %s, %s with %s for a 4 KiB fdatasync, %s, %s",
		runtime.NumCPU(), field("/proc/cpuinfo", "model name"), memory(), kernel, filesystem(dir), fdatasync(dir),
		runtime.Version(), java())
}

// field returns the first value of a key in a file of "key : value" lines.
func field(file, key string) string {
	b, _ := os.ReadFile(file)
	for line := range bytes.Lines(b) {
		k, v, ok := strings.Cut(string(line), ":")
		if ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return "unknown"
}

func memory() string {
	var kb float64
	if _, err := fmt.Sscanf(field("/proc/meminfo", "MemTotal"), "%f", &kb); err != nil {
		return "unknown size"
	}
	return fmt.Sprintf("%.0f GiB", kb/(1<<20))
}

func filesystem(dir string) string {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return "unknown file system"
	}
	switch int64(s.Type) {
	case unix.EXT4_SUPER_MAGIC:
		return "ext4"
	case unix.XFS_SUPER_MAGIC:
		return "xfs"
	case unix.BTRFS_SUPER_MAGIC:
		return "btrfs"
	case unix.TMPFS_MAGIC:
		return "tmpfs (no disk: writes are not durable here)"
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlayfs"
	}
	return fmt.Sprintf("file system %#x", s.Type)
}

// fdatasync measures the median sync of a block that was written before.
func fdatasync(dir string) string {
	f, err := os.Create(filepath.Join(dir, "sync"))
	if err != nil {
		return "unknown time"
	}
	defer func() { f.Close(); os.Remove(f.Name()) }()
	const blocks = 64
	block := make([]byte, 4096)
	var took []time.Duration
	for pass := range 2 {
		for i := range blocks {
			begin := time.Now()
			if _, err := f.WriteAt(block, int64(i*len(block))); err != nil {
				return "unknown time"
			}
			if err := unix.Fdatasync(int(f.Fd())); err != nil {
				return "unknown time"
			}
			if pass == 1 { // the blocks are allocated
				took = append(took, time.Since(begin))
			}
		}
	}
	slices.Sort(took)
	return took[len(took)/2].Round(time.Microsecond).String()
}

func java() string {
	out, err := exec.Command("java", "-version").CombinedOutput()
	if err != nil {
		return "no Java"
	}
	first, _, _ := strings.Cut(string(out), "\n")
	return first
}

// commit names the source the binary was built from, and says if it was changed since.
func commit() string {
	out, err := exec.Command("git", "describe", "--always", "--abbrev=12", "--dirty", "--exclude=*").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

func commandLine(args []string) string {
	if len(args) == 0 {
		return "make bench-compare"
	}
	return fmt.Sprintf("make bench-compare COMPARE='%s'", strings.Join(args, " "))
}
