// Package config turns what an operator wrote into the values the server runs with.
//
//	JVMFLAGS -D words ─┐
//	zoo.cfg            │
//	  or PORT DATADIR  ├─▶ givens ──▶ registry: which key is this? ──▶ Config, warnings, errors
//	  or ZOO_* (image) │   (later     (one entry per setting: name,
//	--set key=value   ─┘    wins)      unit, default, verdict, field)
//
// It starts from any zoo.cfg that Apache ZooKeeper 3.4 to 3.10 starts from, and each line
// means here what it means there, also where that is surprising: skipACL=true leaves ACLs
// on, because only the word "yes" turns them off. Surprises are named in a warning with file
// and line, together with the spelling that works. A warning never stops the server (unless
// strict mode is on); mistakes that Apache refuses are refused here too, all of them at once.
//
// The registry is the only list of settings: defaults, the table that `config check` prints and
// docs/configuration.md are made from it, so none of them can drift.
//
// Server, group and weight lines are the exception: they become a zab.View, the membership as the
// ensemble itself sees it, and Config.Ensemble is nil for a server that stands alone. A mistake in
// them is named by file and line, like any other.
//
// Config is one plain struct of values. The package opens the configuration file, the dynamic
// file that it names with what is beside that, dataDir/myid and the marker initialize, and nothing else; it resolves no host names, logs
// nothing, and knows no other package of the server than zab (and wire, for a version).
package config
