#!/usr/bin/env bash
# Prints a Java class path: the reference server's (which holds the Java client
# too), and with the word curator also Curator's.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tools=${PADDOCK_TOOLS:-$(cd "$here/../.." && pwd)/.tools}
"$here/get.sh"
# The directory with logback.xml comes first: no jar may bring its own.
cp=$here/conf:$tools/apache/*
if [ "${1:-}" = curator ]; then
	cp=$cp:$tools/curator/*
fi
printf '%s\n' "$cp"
