package harness

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Kind is a server program that can be a member of an ensemble.
type Kind byte

// The kinds, by the letters that tests name ensembles with: "JJG".
const (
	KindPaddock  Kind = 'G'
	KindApache   Kind = 'J' // the release that test/apache/get.sh fetches
	KindApache38 Kind = 'O' // 3.8.0, as Debian packages it (libzookeeper-java)
)

func (k Kind) String() string { return string(k) }

// Apache reports whether the program is one of Apache's.
func (k Kind) Apache() bool { return k != KindPaddock }

// jvmOptions are those of tests: what counts is how soon a server is up, and several share a machine.
// A process that is killed leaves its page cache, so nothing needs to wait for the disk.
var jvmOptions = []string{
	"-Xmx256m", "-Xshare:auto", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dfile.encoding=UTF-8",
	"-Dzookeeper.forceSync=no", "-Dzookeeper.preAllocSize=64", "-Dzookeeper.jmx.log4j.disable=true",
	"-Dzookeeper.console.threshold=INFO", "-Dorg.slf4j.simpleLogger.showDateTime=true",
	"-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS", "-Dorg.slf4j.simpleLogger.log.org.apache.zookeeper.server.PrepRequestProcessor=warn",
}

// command returns the program for a configuration file, or ErrNotAvailable. Properties are what no file
// can say.
func (k Kind) command(file string, jvm []string, properties Settings) (*exec.Cmd, error) {
	if k == KindPaddock {
		bin, err := buildPaddock()
		if err != nil {
			return nil, err
		}
		args := []string{"server", file}
		for _, key := range properties.keys() {
			args = append(args, "--set", key+"="+properties[key])
		}
		return exec.Command(bin, args...), nil
	}
	classpath, err := k.classpath()
	if err != nil {
		return nil, err
	}
	args := append([]string(nil), jvm...)
	for _, key := range properties.keys() {
		args = append(args, "-D"+key+"="+properties[key])
	}
	args = append(args, "-cp", classpath, "org.apache.zookeeper.server.quorum.QuorumPeerMain", file)
	return exec.Command("java", args...), nil
}

// classpath looks for the jars.
func (k Kind) classpath() (string, error) {
	if _, err := exec.LookPath("java"); err != nil {
		return "", fmt.Errorf("%w: no java: %w", ErrNotAvailable, err)
	}
	var jars []string
	switch k {
	case KindApache:
		if jars = jarsBelow(filepath.Join(Root(), ".tools", "apache")); len(jars) == 0 {
			return "", fmt.Errorf("%w: no jars of Apache's server: test/apache/get.sh has not been run", ErrNotAvailable)
		}
		jars = append([]string{filepath.Join(Root(), "test", "apache", "conf")}, jars...)
	case KindApache38:
		jars = debianJars()
		if _, err := os.Stat(jars[0]); !strings.HasSuffix(jars[0], "/zookeeper-3.8.0.jar") || err != nil {
			return "", fmt.Errorf("%w: no zookeeper-3.8.0.jar: the package libzookeeper-java is not installed", ErrNotAvailable)
		}
		for i := range jars {
			jars[i] = strings.Replace(jars[i], "slf4j-nop", "slf4j-simple", 1) // we want to read it
		}
	default:
		return "", fmt.Errorf("harness: no kind of server is called %q", rune(k))
	}
	return strings.Join(jars, string(os.PathListSeparator)), nil
}

// Available returns nil if servers of this kind can run here, else ErrNotAvailable.
func (k Kind) Available() error {
	if k == KindPaddock {
		_, err := buildPaddock()
		return err
	}
	_, err := k.classpath()
	return err
}
