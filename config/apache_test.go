package config

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// apacheSource lets Apache's own class parse each file named in its arguments.
const apacheSource = `
import org.apache.zookeeper.server.quorum.QuorumPeerConfig;
public class Parse { public static void main(String[] args) throws Exception {
  for (String name : args) {
    QuorumPeerConfig c = new QuorumPeerConfig();
    QuorumPeerConfig.setStandaloneEnabled(true);
    QuorumPeerConfig.setReconfigEnabled(false);
    try { c.parse(name); System.out.println("ok"); }
    catch (QuorumPeerConfig.ConfigException e) {
      Throwable t = e; while (t.getCause() != null) t = t.getCause();
      System.out.println("refused: " + t.getMessage()); } } } }
`

// differences are the files of which Apache 3.8 and this server think differently, and why.
var differences = map[string]string{
	"hbase.cfg":               "electionAlg=0 is refused since 3.6; 3.4 starts, and alone it does not matter",
	"only a TLS port":         "TLS is not served yet",
	"one port for everything": "Apache notices when it binds the port",
	"port 0 is no port":       "Apache starts, and nobody can connect",
	"authentication that this release cannot give":               "SASL and foreign classes are refused rather than left out",
	"enforced, but by nothing":                                   "Apache notices when it starts to serve",
	"digests":                                                    "Apache notices when it starts to serve",
	"strict mode takes warnings for errors":                      "strict mode is ours",
	"myid holds no number":                                       "alone a server needs no id; 3.4 starts",
	"myid is that of no server":                                  "Apache notices when it begins to look for a leader",
	"ids that do not fit into a byte":                            "Apache starts, and servers may give out the same sessions",
	"the largest id, and TTL nodes":                              "Apache notices when it starts to serve",
	"servers that are two, and addresses of which there are two": "Apache starts, and some servers are never reached",
	"a copied line":                                              "Apache takes the last line silently",
	"nobody weighs anything":                                     "Apache starts, and never has a leader",
	"a client port that is the election port":                    "Apache notices when it binds the port",
	"no client port at all, in an ensemble":                      "Apache starts, and nobody can connect",
	"TLS and SASL between servers":                               "not served yet",
}

// TestRefusesWhatApacheRefuses runs the real files and the mistakes through Apache's parser. It
// needs a JDK and Apache's jars, so it runs on demand: PADDOCK_ZOOKEEPER_CP is their class path.
func TestRefusesWhatApacheRefuses(t *testing.T) {
	classPath := os.Getenv("PADDOCK_ZOOKEEPER_CP")
	if classPath == "" {
		t.Skip("set PADDOCK_ZOOKEEPER_CP to compare with Apache's parser")
	}
	dir := t.TempDir()
	source := filepath.Join(dir, "Parse.java")
	write(t, source, apacheSource)
	names, texts := plainFiles(t)
	args := []string{"-cp", classPath, source}
	for i, text := range texts {
		file := filepath.Join(dir, strings.Map(letters, names[i]))
		data := filepath.Join(dir, fmt.Sprint("data", i))
		if id := myIDLine.FindStringSubmatch(text); id != nil {
			if err := os.Mkdir(data, 0o700); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(data, "myid"), strings.ReplaceAll(id[1], `\n`, "\n"))
		}
		write(t, file, elsewhere(directive.ReplaceAllString(text, ""), data))
		args = append(args, file)
	}
	out, err := exec.Command("java", args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	for i, apache := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		_, _, err := loadBlock(texts[i])
		same := (err == nil) == (apache == "ok")
		switch why := differences[names[i]]; {
		case same && why != "":
			t.Errorf("%s: no difference any more (%s)", names[i], apache)
		case !same && why == "":
			t.Errorf("%s: Apache: %s; here: %v", names[i], apache, err)
		}
	}
}

// plainFiles returns the files of testdata/zoo and the blocks of mistakes.txt that are a file
// and nothing else but a myid.
func plainFiles(t *testing.T) (names, texts []string) {
	t.Helper()
	files, _ := filepath.Glob("testdata/zoo/*.[cp][fr][go]*")
	for _, file := range files {
		if strings.HasSuffix(file, ".golden") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		names, texts = append(names, filepath.Base(file)), append(texts, string(text))
	}
	mistakes, err := os.ReadFile("testdata/mistakes.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range strings.Split(string(mistakes), "\n## ")[1:] {
		title, body, _ := strings.Cut(block, "\n")
		body, _, _ = strings.Cut(body, "----\n")
		if !strings.Contains(myIDLine.ReplaceAllString(body, ""), "$ ") {
			names, texts = append(names, title), append(texts, body)
		}
	}
	return names, texts
}

func letters(r rune) rune {
	if r == ' ' || r == '/' {
		return '_'
	}
	return r
}

var (
	myIDLine    = regexp.MustCompile(`(?m)^\$ also /d/myid (.*)$`)
	directive   = regexp.MustCompile(`(?m)^\$ .*$`)
	dataDirs    = regexp.MustCompile(`(?m)^dataDir=/.*$`)
	prometheus  = regexp.MustCompile(`(?m)^metricsProvider\.className=.*$`) // its class is in another jar
	dynamicFile = regexp.MustCompile(`(?m)^dynamicConfigFile=testdata/`)
)

// elsewhere moves the data directory to where nothing lies but what the test put there: a myid of
// this machine is no part of it.
func elsewhere(text, data string) string {
	working, _ := os.Getwd()
	text = dataDirs.ReplaceAllString(text, "dataDir="+data)
	text = dynamicFile.ReplaceAllString(text, "dynamicConfigFile="+working+"/testdata/")
	return prometheus.ReplaceAllString(text, "")
}
