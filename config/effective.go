package config

import "strings"

// Setting is one row of the effective configuration.
type Setting struct {
	Key     string
	Value   string // as zoo.cfg would have it; secrets are masked
	Unit    string // "ms", "KB" and so on; empty for a plain count, word or path
	Source  string // "default", "zoo.cfg:12", "--set", "JVMFLAGS", "2 ticks"
	Verdict Verdict
}

// Effective returns the configuration that is in force: every setting with a value, in the
// order of docs/configuration.md, then what else was given and has none.
func (c *Config) Effective() []Setting {
	var settings []Setting
	for _, s := range registry() {
		for i := range s.keys {
			if k := &s.keys[i]; k.field != nil {
				settings = append(settings, c.effective(k))
			}
		}
	}
	return append(settings, c.extras...)
}

func (c *Config) effective(k *key) Setting {
	s := Setting{Key: k.name, Value: k.show(c), Unit: k.unit, Source: c.origins[k.name], Verdict: k.verdict}
	if s.Source == "" {
		s.Source = "default"
	}
	if s.Unit == "port" || strings.HasSuffix(s.Value, "s") && k.form == interval {
		s.Unit = "" // a port is a name; 90s carries its unit
	}
	return s
}
