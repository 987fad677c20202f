package harness

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
)

// ErrNotAvailable says that a target cannot run on this machine: no jars, no Java, or nothing built
// yet. A suite that gets it skips and says so; it never counts as passed.
var ErrNotAvailable = errors.New("harness: target not available")

// Settings are ZooKeeper's configuration keys with their values, as in zoo.cfg. Keys that ZooKeeper
// reads as system properties only (zookeeper.*, znode.*, jute.*) are spelled with that prefix.
type Settings map[string]string

// With returns s with the given keys added or replaced; s itself is left alone.
func (s Settings) With(more Settings) Settings {
	all := make(Settings, len(s)+len(more))
	for k, v := range s {
		all[k] = v
	}
	for k, v := range more {
		all[k] = v
	}
	return all
}

func (s Settings) keys() []string {
	keys := make([]string, 0, len(s))
	for k := range s {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// Version is a ZooKeeper release: which of the behaviours that changed over time to expect.
type Version [3]int

// AtLeast reports whether v is release major.minor.patch or a later one of any line.
func (v Version) AtLeast(major, minor, patch int) bool {
	w := Version{major, minor, patch}
	for i := range v {
		if v[i] != w[i] {
			return v[i] > w[i]
		}
	}
	return true
}

func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2]) }

// Target is a server program that can be started. Immutable.
type Target struct {
	Name    string  // "paddock" or "apache"
	Version Version // paddock shows the newest behaviour and says 3.10.0
	command func(dir string, port int, s Settings) (*exec.Cmd, error)
}

// Paddock reports whether the target is ours, for the places where it differs on purpose.
func (t *Target) Paddock() bool { return t.Name == "paddock" }

// FromEnv returns the target named by PADDOCK_TARGET: "apache", or paddock if empty.
func FromEnv() (*Target, error) {
	switch name := os.Getenv("PADDOCK_TARGET"); name {
	case "", "paddock":
		return Paddock()
	case "apache":
		return Apache()
	default:
		return nil, fmt.Errorf("harness: PADDOCK_TARGET=%q, want paddock or apache", name)
	}
}

// Root returns the root of the source tree this package was compiled from.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}

var buildPaddock = sync.OnceValues(func() (string, error) {
	if bin := os.Getenv("PADDOCK_BIN"); bin != "" {
		return bin, nil
	}
	if _, err := os.Stat(filepath.Join(Root(), "cmd", "paddock")); err != nil {
		return "", fmt.Errorf("%w: there is no cmd/paddock", ErrNotAvailable)
	}
	// Each test process builds into a place of its own: packages are tested side by side, and one of
	// them must not replace the program that another has just started.
	dir, err := os.MkdirTemp("", "paddock-bin-")
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "paddock")
	build := exec.Command("go", "build", "-o", bin, "./cmd/paddock")
	build.Dir = Root()
	builtIn = dir
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("harness: go build ./cmd/paddock: %w\n%s", err, out)
	}
	return bin, nil
})

// builtIn is the directory that buildPaddock made, if it did; written by its one call.
var builtIn string

// Cleanup removes what building left behind. A suite calls it at the end of TestMain, when no test runs.
func Cleanup() {
	if builtIn != "" {
		os.RemoveAll(builtIn)
	}
}

// Paddock builds our server, once per process, and returns it as a target. PADDOCK_BIN names a binary
// to use instead.
func Paddock() (*Target, error) {
	bin, err := buildPaddock()
	if err != nil {
		return nil, err
	}
	return &Target{
		Name:    "paddock",
		Version: Version{3, 10, 0},
		command: func(dir string, port int, s Settings) (*exec.Cmd, error) {
			args := []string{
				"server",
				"--set", "clientPort=" + strconv.Itoa(port),
				"--set", "clientPortAddress=127.0.0.1",
				"--set", "dataDir=" + dir,
			}
			for _, k := range s.keys() {
				args = append(args, "--set", k+"="+s[k])
			}
			return exec.Command(bin, args...), nil
		},
	}, nil
}

// Apache returns the reference server. Its jars are looked for in PADDOCK_APACHE_CLASSPATH, then where
// test/apache/get.sh puts them, then where Debian's packages do.
func Apache() (*Target, error) {
	if _, err := exec.LookPath("java"); err != nil {
		return nil, fmt.Errorf("%w: no java: %w", ErrNotAvailable, err)
	}
	classpath, version, err := apacheJars()
	if err != nil {
		return nil, err
	}
	return &Target{
		Name:    "apache",
		Version: version,
		command: func(dir string, port int, s Settings) (*exec.Cmd, error) {
			return apacheCommand(classpath, dir, port, s)
		},
	}, nil
}

var serverJar = regexp.MustCompile(`^zookeeper-(\d+)\.(\d+)\.(\d+)\.jar$`)

func apacheJars() (classpath string, v Version, err error) {
	var jars []string
	if cp := os.Getenv("PADDOCK_APACHE_CLASSPATH"); cp != "" {
		jars = filepath.SplitList(cp)
	} else if jars = jarsBelow(filepath.Join(Root(), ".tools", "apache")); len(jars) == 0 {
		jars = debianJars()
	}
	logging := filepath.Join(Root(), "test", "apache", "conf") // without it every request is logged
	jars = append([]string{logging}, jars...)
	for _, jar := range jars {
		if m := serverJar.FindStringSubmatch(filepath.Base(jar)); m != nil {
			for i := range v {
				v[i], _ = strconv.Atoi(m[i+1]) // the pattern admits only digits
			}
			return strings.Join(jars, string(os.PathListSeparator)), v, nil
		}
	}
	return "", v, fmt.Errorf("%w: no zookeeper-X.Y.Z.jar (test/apache/get.sh fetches it)", ErrNotAvailable)
}

func jarsBelow(dir string) (jars []string) {
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ".jar") {
			jars = append(jars, path)
		}
		return nil // a directory that cannot be read holds no jars for us
	})
	return jars
}

func debianJars() (jars []string) {
	const dir = "/usr/share/java/"
	if m, _ := filepath.Glob(dir + "zookeeper-3.*.jar"); len(m) > 0 {
		jars = append(jars, m[0])
	}
	for _, name := range []string{
		"zookeeper-jute", "slf4j-api", "slf4j-nop", "snappy-java", "metrics-core", "commons-io",
		"commons-cli", "netty-all", "jackson-core", "jackson-databind", "jackson-annotations",
	} {
		jars = append(jars, dir+name+".jar")
	}
	return jars
}

// apacheCommand writes a zoo.cfg and returns the java command for it. The admin server is off and the
// compiler kept cheap: what counts in tests is how soon a server is up.
func apacheCommand(classpath, dir string, port int, s Settings) (*exec.Cmd, error) {
	args := []string{
		"-Xmx512m", "-Xshare:auto", "-Dfile.encoding=UTF-8", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-Dzookeeper.admin.enableServer=false", "-Dzookeeper.forceSync=no",
		"-Dzookeeper.jmx.log4j.disable=true", "-Dzookeeper.preAllocSize=64",
	}
	var cfg strings.Builder
	fmt.Fprintf(&cfg, "clientPort=%d\nclientPortAddress=127.0.0.1\ndataDir=%s\n", port, dir)
	for _, k := range s.keys() {
		if propertyOnly(k) {
			args = append(args, "-D"+k+"="+s[k])
		} else {
			fmt.Fprintf(&cfg, "%s=%s\n", k, s[k])
		}
	}
	file := filepath.Join(dir, "zoo.cfg")
	if err := os.WriteFile(file, []byte(cfg.String()), 0o600); err != nil {
		return nil, err
	}
	args = append(args, "-cp", classpath, "org.apache.zookeeper.server.ZooKeeperServerMain", file)
	return exec.Command("java", args...), nil
}

func propertyOnly(key string) bool {
	for _, prefix := range []string{"zookeeper.", "znode.", "jute.", "java."} {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}
