package wire

// IsWord reports whether the first four bytes of a connection are a four-letter word. All of them
// are far above any sane frame length. The last is telnet's close. Source: FourLetterCommands.
func IsWord(w [4]byte) bool {
	switch string(w[:]) {
	case "conf", "cons", "crst", "dirs", "dump", "envi", "gtmk", "hash", "isro", "mntr", "ruok",
		"srst", "srvr", "stat", "stmk", "wchc", "wchp", "wchs", "\xff\xf4\xff\xfd",
		"live", "redy": // the last two are ours
		return true
	}
	return false
}
