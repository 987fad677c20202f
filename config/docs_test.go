package config

import (
	"fmt"
	"strings"
	"testing"
)

const docsHead = `# Configuration

*Made from the registry in package config by ` + "`go test ./config -rewrite`" + `. Do not edit.*

paddock starts from the ` + "`zoo.cfg`" + ` of Apache ZooKeeper 3.4 to 3.10. Each line means here what it
means there; where something is different, the column *Default* says so. Sources, the strongest last:

1. the defaults below,
2. ` + "`-D`" + ` words in ` + "`SERVER_JVMFLAGS` and `JVMFLAGS`" + `,
3. ` + "`zoo.cfg`" + `; or the arguments ` + "`PORT DATADIR [TICKTIME [MAXCNXNS]]`" + `; or, without either, the ` + "`ZOO_*`" + ` variables of the
   official Docker image; or, without those, port 2181 and ` + "`./data`" + `,
4. ` + "`--set key=value` (short `-Dkey=value`)" + `.

` + "`paddock config check zoo.cfg`" + ` prints what would be in force, and where each value comes from. A line
that has no effect does not stop the server; it is named in the log, with file and line. What Apache starts with and
paddock refuses is what cannot be left out silently: TLS as the only port, TLS or SASL between servers, SASL that is
required, authentication plug-ins written in Java. A server that stands alone does not look at ` + "`myid` and `electionAlg`" + ` so
strictly. No file is ever written or rewritten. How to run an ensemble: [ensemble.md](ensemble.md).
` + "`--strict-config`" + ` (or ` + "`config.strict=true`" + `) takes every such warning for an error.

**Where** says where Apache reads a setting, and so how its value is read. *file*: from ` + "`zoo.cfg`" + `; numbers are decimal,
switches are ` + "`true` or `false`" + `, and anything else is refused. *property*: from ` + "`zoo.cfg`" + `, or from ` + "`JVMFLAGS`" + ` as
` + "`-Dzookeeper.`" + ` and the name; a value that cannot be read means the default, with a warning. *-D only*: from
` + "`JVMFLAGS`" + ` as ` + "`-D`" + ` and the name; the same line in ` + "`zoo.cfg`" + ` has no effect. *ours*: new in paddock; switches also take
yes, no, on, off, 1 and 0. With ` + "`--set`" + ` all of them work, and a value that cannot be read is an error.

**Verdict**: *used* changes what the server does. *ensemble* changes what one of several
servers does. *not yet* is read and checked, and draws a warning: this release does not act on it. *ignored* has nothing here
that it could tune. *JVM only* is for Java.
`

// TestDocs compares docs/configuration.md with the registry.
func TestDocs(t *testing.T) {
	var b strings.Builder
	b.WriteString(docsHead)
	for _, s := range registry() {
		fmt.Fprintf(&b, "\n## %s\n\n", s.title)
		if s.keys[0].verdict == Dead {
			writeDead(&b, s.keys)
			continue
		}
		b.WriteString("| Key | Unit | Default | Where | Verdict | Meaning |\n|---|---|---|---|---|---|\n")
		for i := range s.keys {
			writeKey(&b, &s.keys[i])
		}
	}
	compare(t, "../docs/configuration.md", b.String())
}

func writeDead(b *strings.Builder, keys []key) {
	b.WriteString("Apache's documents print the names on the left as headings; its code reads those on the right. A line\n" +
		"with the left name has no effect and draws a warning, unless `config.lenient=true`.\n\n| Written | Read |\n|---|---|\n")
	for _, k := range keys {
		fmt.Fprintf(b, "| `%s` | `%s` |\n", k.name, k.why)
	}
}

func writeKey(b *strings.Builder, k *key) {
	def := "–"
	if k.def != "" {
		def = "`" + k.def + "`"
	}
	if k.apache != "" {
		def += " (Apache: " + k.apache + ")"
	}
	where := map[place]string{inFile: "file", property: "property", flagOnly: "-D only", ours: "ours"}[k.place]
	meaning := k.doc
	if k.why != "" {
		meaning += " *" + strings.ToUpper(k.why[:1]) + k.why[1:] + ".*"
	}
	fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s | %s |\n", k.name, k.unit, def, where, k.verdict, meaning)
}
