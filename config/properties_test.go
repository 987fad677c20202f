package config

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// grammar is what java.util.Properties (JDK 17) makes of each text, trimmed as Apache trims it;
// TestPropertiesAgreeWithJava asks a JVM for the same.
var grammar = []struct {
	name, text string
	want       []line
}{
	{"separators are = and : and blank", "a=1\nb:2\nc 3\nd\t4\ne = 5", []line{{"a", "1", 1}, {"b", "2", 2}, {"c", "3", 3}, {"d", "4", 4}, {"e", "5", 5}}},
	{"later colons belong to the value", "server.1=a:2888:3888", []line{{"server.1", "a:2888:3888", 1}}},
	{"a key alone has an empty value", "a\n\nb=", []line{{"a", "", 1}, {"b", "", 3}}},
	{"an empty key is a key", "=1", []line{{"", "1", 1}}},
	{"comments begin with # or !, after blanks too", "#a=1\n  !b=2\nc=3", []line{{"c", "3", 3}}},
	{"a comment behind a value is value", "tickTime=2000 # ms", []line{{"tickTime", "2000 # ms", 1}}},
	{"a backslash continues the line, leading blanks go", "a=1,\\\n   2,\\\n\t3\nb=4", []line{{"a", "1,2,3", 1}, {"b", "4", 4}}},
	{"two backslashes do not", "a=1\\\\\nb=2", []line{{"a", `1\`, 1}, {"b", "2", 2}}},
	{"a comment sign in a continued line is value", "a=1\\\n#2", []line{{"a", "1#2", 1}}},
	{"a key continues too", "ab\\\n  cd=1", []line{{"abcd", "1", 1}}},
	{"lines continue over CRLF", "a=1\\\r\n  2\r\nb=3\r\n", []line{{"a", "12", 1}, {"b", "3", 3}}},
	{"CR alone ends a line", "a=1\rb=2", []line{{"a", "1", 1}, {"b", "2", 2}}},
	{"a blank line ends a continuation", "a=1\\\n\nb=2", []line{{"a", "1", 1}, {"b", "2", 3}}},
	{"a backslash at the end of the file is dropped", `a=1\`, []line{{"a", "1", 1}}},
	{"escapes", `a\=b\:c\ d=\t1\u0041\#`, []line{{"a=b:c d", "1A#", 1}}},
	{"a lone backslash is dropped", `dataDir=C:\data\x`, []line{{"dataDir", "C:datax", 1}}},
	{"no expansion of ${}", "a=${b}", []line{{"a", "${b}", 1}}},
	{"duplicates are all there", "a=1\na=2", []line{{"a", "1", 1}, {"a", "2", 2}}},
	{"trailing blanks go", "a=1  \t", []line{{"a", "1", 1}}},
}

func TestPropertiesGrammar(t *testing.T) {
	for _, tt := range grammar {
		t.Run(tt.name, func(t *testing.T) {
			got, problems := parseProperties("f", []byte(tt.text))
			if len(problems) != 0 || !slices.Equal(got, tt.want) {
				t.Errorf("got %v, problems %v, want %v", got, problems, tt.want)
			}
		})
	}
}

func TestPropertiesEncodings(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"UTF-8 is UTF-8", "dataDir=/data/\u00e9", "/data/\u00e9"},
		{"what is not is Latin-1", "dataDir=/data/\xe9", "/data/\u00e9"},
		{"a byte order mark is no part of the first key", "\uFEFFdataDir=/d", "/d"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, problems := parseProperties("f", []byte(tt.text))
			if want := []line{{"dataDir", tt.want, 1}}; !slices.Equal(got, want) {
				t.Errorf("got %v, problems %v, want %v", got, problems, want)
			}
		})
	}
	_, problems := parseProperties("f", []byte("\xff\xfea\x00=\x001\x00"))
	if want := "f: file is UTF-16 (save it as UTF-8)"; len(problems) != 1 || problems[0].String() != want {
		t.Errorf("UTF-16: got %v, want %s", problems, want)
	}
}

// javaSource prints, for each file named in its arguments, the pairs of the file sorted, in hex.
const javaSource = `
import java.io.*; import java.util.*; import java.nio.charset.*;
public class Props { public static void main(String[] args) throws Exception {
  for (String name : args) { Properties p = new Properties(); System.out.print("file");
    try (InputStream in = new FileInputStream(name)) { p.load(in);
      for (String k : new TreeSet<>(p.stringPropertyNames())) if (!k.isEmpty() || !p.getProperty(k).isEmpty()) System.out.print(" " + hex(k) + "=" + hex(p.getProperty(k)));
      System.out.println();
    } catch (IllegalArgumentException e) { System.out.println(" error"); } } }
  static String hex(String s) { return HexFormat.of().formatHex(s.getBytes(StandardCharsets.UTF_8)); } }
`

// TestPropertiesAgreeWithJava compares with java.util.Properties itself: the table above and
// 2000 random texts. It needs a JDK, so it runs on demand: PADDOCK_JAVA=1.
func TestPropertiesAgreeWithJava(t *testing.T) {
	if os.Getenv("PADDOCK_JAVA") == "" {
		t.Skip("set PADDOCK_JAVA=1 to compare with a JDK")
	}
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(1, 2))
	var texts []string
	for _, tt := range grammar {
		texts = append(texts, tt.text)
	}
	for range 2000 {
		texts = append(texts, randomText(random))
	}
	args := []string{filepath.Join(dir, "Props.java")}
	write(t, args[0], javaSource)
	for i, text := range texts {
		name := filepath.Join(dir, fmt.Sprint(i))
		write(t, name, text)
		args = append(args, name)
	}
	out, err := exec.Command("java", args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range strings.Split(strings.TrimSuffix(string(out), "\n"), "\n") {
		if got := asJavaPrints(texts[i]); got != want {
			t.Errorf("%q: got %s, want %s", texts[i], got, want)
		}
	}
}

func randomText(random *rand.Rand) string {
	const alphabet = "aab=: \t\\\\\n\n\r#!u0041f\f"
	b := make([]byte, random.IntN(24))
	for i := range b {
		b[i] = alphabet[random.IntN(len(alphabet))]
	}
	return string(b)
}

// asJavaPrints returns what javaSource prints for text. Keys and values are not trimmed yet.
func asJavaPrints(text string) string {
	pairs := make(map[string]string)
	for _, l := range joinLines(text) {
		key, value, err := splitLine(l.value)
		if err != nil {
			return "file error"
		}
		pairs[key] = value
	}
	keys := make([]string, 0, len(pairs))
	for k, v := range pairs {
		if k != "" || v != "" { // the JDK is of two minds about a lone backslash at the end
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	var b bytes.Buffer
	b.WriteString("file")
	for _, k := range keys {
		fmt.Fprintf(&b, " %x=%x", k, pairs[k])
	}
	return b.String()
}

func write(t *testing.T, name, contents string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(contents), 0o600); err != nil {
		t.Fatal(err)
	}
}
