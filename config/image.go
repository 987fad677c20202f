package config

import "strings"

// imageVariables are those of the official Docker image that end up in its zoo.cfg. They count
// only when there is no configuration file: so does the image's entry point.
var imageVariables = []struct{ name, key string }{
	{"ZOO_DATA_DIR", "dataDir"},
	{"ZOO_DATA_LOG_DIR", "dataLogDir"},
	{"ZOO_TICK_TIME", "tickTime"},
	{"ZOO_INIT_LIMIT", "initLimit"},
	{"ZOO_SYNC_LIMIT", "syncLimit"},
	{"ZOO_MAX_CLIENT_CNXNS", "maxClientCnxns"},
	{"ZOO_STANDALONE_ENABLED", "standaloneEnabled"},
	{"ZOO_ADMINSERVER_ENABLED", "admin.enableServer"},
	{"ZOO_AUTOPURGE_PURGEINTERVAL", "autopurge.purgeInterval"},
	{"ZOO_AUTOPURGE_SNAPRETAINCOUNT", "autopurge.snapRetainCount"},
	{"ZOO_4LW_COMMANDS_WHITELIST", "4lw.commands.whitelist"},
}

// otherVariables are read elsewhere, or mean nothing here.
var otherVariables = []string{
	"ZOO_CONF_DIR", "ZOO_LOG_DIR", "ZOO_LOG_FILE", "ZOO_LOG4J_PROP", "ZOO_MY_ID", "ZOO_SERVERS",
	"ZOO_CFG_EXTRA", "ZOO_DATADIR_AUTOCREATE_DISABLE",
}

// inImage reports whether the environment is that of the official image.
func (s *sources) inImage() bool {
	for _, v := range imageVariables {
		if s.env(v.name) != "" {
			return true
		}
	}
	return s.env("ZOO_SERVERS") != "" || s.env("ZOO_CFG_EXTRA") != ""
}

// readImage makes of ZOO_* variables what the image's entry point makes of them.
func (s *sources) readImage() {
	for _, v := range imageVariables {
		if value := s.env(v.name); value != "" {
			s.add(given{name: v.key, value: trim(value), where: v.name, origin: fromFile})
		}
	}
	if s.env("ZOO_DATA_DIR") == "" {
		s.add(given{name: "dataDir", value: "/data", where: "official image", origin: fromFile})
	}
	if s.env("ZOO_SERVERS") == "" {
		s.add(given{name: "clientPort", value: "2181", where: "official image", origin: fromFile})
	} else {
		s.readImageServers()
	}
	for word := range strings.FieldsSeq(s.env("ZOO_CFG_EXTRA")) {
		name, value, _ := strings.Cut(word, "=")
		s.add(given{name: name, value: value, where: "ZOO_CFG_EXTRA", origin: fromFile})
	}
	s.warnVariables()
}

// readImageServers takes the words of ZOO_SERVERS. What is none of the lines that belong there is
// refused: a server that nobody hears of would start alone, beside its ensemble. The limits are
// those that the image sets where nobody else does.
func (s *sources) readImageServers() {
	for _, d := range []struct{ variable, key, value string }{
		{"ZOO_INIT_LIMIT", "initLimit", "5"}, {"ZOO_SYNC_LIMIT", "syncLimit", "2"},
	} {
		if s.env(d.variable) == "" {
			s.add(given{name: d.key, value: d.value, where: "official image", origin: fromFile})
		}
	}
	for word := range strings.FieldsSeq(s.env("ZOO_SERVERS")) {
		name, value, ok := strings.Cut(word, "=")
		kind, _, _ := strings.Cut(name, ".")
		if !ok || kind != "server" && kind != "group" && kind != "weight" {
			s.problem("ZOO_SERVERS", word, "want server.N=host:2888:3888;2181, with blanks between the servers")
			s.unread = true
			continue
		}
		s.add(given{name: name, value: value, where: "ZOO_SERVERS", origin: fromFile})
	}
}

// warnVariables names ZOO_ variables that are not the official image's: another image's (there
// are several with the same prefix) would ask for things that nobody here hears of.
func (s *sources) warnVariables() {
	for _, v := range s.options.Environ {
		name, _, _ := strings.Cut(v, "=")
		if strings.HasPrefix(name, "ZOO_") && !knownVariable(name) {
			s.warnings = append(s.warnings, Warning{Problem: Problem{Where: name, order: len(s.givens),
				Text: "not a variable of the official image, no effect"}})
		}
	}
}

func knownVariable(name string) bool {
	for _, v := range imageVariables {
		if v.name == name {
			return true
		}
	}
	for _, other := range otherVariables {
		if other == name {
			return true
		}
	}
	return false
}
