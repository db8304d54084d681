# Sourced by the scripts beside it: strict mode, the root as working folder, and how they speak.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
mkdir -p .cache

say() { printf '== %s\n' "$*"; }

fail() {
	printf '!! %s\n' "$*" >&2
	exit 1
}

# quietly WHAT COMMAND...: shows the command's output only when it fails.
quietly() {
	local what=$1 log
	shift
	log=$(mktemp)
	if ! "$@" >"$log" 2>&1 </dev/null; then
		cat "$log" >&2
		rm -f "$log"
		fail "$what: failed; its output stands above"
	fi
	rm -f "$log"
}

# limited SECONDS COMMAND...: `timeout` where there is one (macOS has none).
limited() {
	local seconds=$1
	shift
	if command -v timeout >/dev/null; then
		timeout "$seconds" "$@"
	else
		"$@"
	fi
}

# packages_with REGEXP: "package test" lines of every test, fuzz target or benchmark whose name matches. It compiles
# the tests, so a test file that does not build fails here.
packages_with() {
	local list
	list=$(mktemp)
	go test -list "$1" ./... >"$list" || {
		cat "$list" >&2
		fail "the tests do not build"
	}
	# Names come before the line "ok <package> <time>" of their package.
	awk '$1 == "ok" { for (i = 0; i < n; i++) print $2, name[i]; n = 0; next }
		$1 == "?" || $1 == "---" { n = 0; next }
		NF == 1 { name[n++] = $1 }' "$list"
	rm -f "$list"
}
