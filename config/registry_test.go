package config

import (
	"reflect"
	"strings"
	"testing"
)

func eachKey(f func(k *key)) {
	for _, s := range registry() {
		for i := range s.keys {
			f(&s.keys[i])
		}
	}
}

// TestRegistryIsComplete checks what every entry owes to its readers.
func TestRegistryIsComplete(t *testing.T) {
	c := newCatalog()
	seen := make(map[string]bool)
	eachKey(func(k *key) {
		if seen[k.name] {
			t.Errorf("%s is there twice", k.name)
		}
		seen[k.name] = true
		switch k.verdict {
		case Used, ForEnsemble:
			if k.why != "" {
				t.Errorf("%s is %s and has a reason not to work: %s", k.name, k.verdict, k.why)
			}
		case Dead:
			if c.byName(k.why) == nil {
				t.Errorf("%s is said to be %s, which is unknown", k.name, k.why)
			}
			return
		case NotYet, Ignored, JVM:
			if k.why == "" {
				t.Errorf("%s is %s and nobody says why", k.name, k.verdict)
			}
		default:
			t.Errorf("%s has verdict %q", k.name, k.verdict)
		}
		if k.doc == "" {
			t.Errorf("%s has no description", k.name)
		}
		if k.verdict == Used && k.field == nil && !strings.HasSuffix(k.name, "*") && !usedByName[k.name] {
			t.Errorf("%s is used, but has no field", k.name)
		}
	})
}

// usedByName are read by the loader itself.
var usedByName = map[string]bool{
	"metricsProvider.className": true, "config.strict": true, "config.lenient": true,
}

// TestDefaultsSurviveATrip sets each default and shows it again.
func TestDefaultsSurviveATrip(t *testing.T) {
	var c Config
	eachKey(func(k *key) {
		if k.def == "" {
			return
		}
		note, err := k.set(&c, k.def)
		if note != "" || err != nil {
			t.Errorf("%s=%s: note %q, error %v", k.name, k.def, note, err)
		}
		if k.field != nil && k.show(&c) != k.def {
			t.Errorf("%s: default %s is shown as %s", k.name, k.def, k.show(&c))
		}
	})
}

// TestEveryFieldHasAKey finds fields of Config that no setting reaches.
func TestEveryFieldHasAKey(t *testing.T) {
	derived := map[string]bool{ // filled by the loader
		"File": true, "ServerID": true, "AuthSchemes": true, "MetricsEnabled": true, "Ensemble": true,
	}
	var c Config
	v := reflect.ValueOf(&c).Elem()
	bound := make(map[any]string)
	eachKey(func(k *key) {
		if k.field == nil {
			return
		}
		p := k.field(&c)
		if other, ok := bound[p]; ok {
			t.Errorf("%s and %s set the same field", k.name, other)
		}
		bound[p] = k.name
	})
	for _, f := range reflect.VisibleFields(v.Type()) {
		if !f.IsExported() || f.Anonymous || derived[f.Name] {
			continue
		}
		if _, ok := bound[v.FieldByIndex(f.Index).Addr().Interface()]; !ok {
			t.Errorf("no setting reaches Config.%s", f.Name)
		}
	}
}

// TestClientVisibleSettingsAreThere holds the list of settings that change what clients see.
func TestClientVisibleSettingsAreThere(t *testing.T) {
	c := newCatalog()
	for name := range strings.FieldsSeq(`
		tickTime minSessionTimeout maxSessionTimeout jute.maxbuffer jute.maxbuffer.extrasize maxClientCnxns maxCnxns
		nio.sessionlessCnxnTimeout globalOutstandingLimit extendedTypesEnabled znode.container.checkIntervalMs
		znode.container.maxPerMinute znode.container.maxNeverUsedIntervalMs enforceQuota skipACL enableEagerACLCheck
		DigestAuthenticationProvider.enabled DigestAuthenticationProvider.digestAlg DigestAuthenticationProvider.superDigest
		sessionRequireClientSASLAuth enforce.auth.enabled enforce.auth.schemes allowSaslFailedClients localSessionsEnabled
		localSessionsUpgradingEnabled readonlymode.enabled reconfigEnabled standaloneEnabled 4lw.commands.whitelist
		closeSessionTxn.enabled request_throttle_max_requests throttled_op_wait_time`) {
		if k := c.names[name]; k == nil || k.field == nil {
			t.Errorf("%s has no entry with a field", name)
		}
	}
}

func TestNearest(t *testing.T) {
	c := newCatalog()
	tests := []struct{ written, want string }{
		{"ticktime", "tickTime"},
		{"dataDirs", "dataDir"},
		{"maxClientConnections", ""},
		{"maxClientCnxn", "maxClientCnxns"},
		{"autopurge.snapRetianCount", "autopurge.snapRetainCount"},
		{"4lw.command.whitelist", "4lw.commands.whitelist"},
		{"x", ""},
		{"", ""},
	}
	for _, tt := range tests {
		if got := c.nearest(tt.written); got != tt.want {
			t.Errorf("nearest(%q) = %q, want %q", tt.written, got, tt.want)
		}
	}
}
