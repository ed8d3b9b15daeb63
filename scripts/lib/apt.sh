# Shared by the install scripts: installs Debian packages that are missing, and says what it does.

# install_missing PACKAGE… : without root and without sudo it prints the one line to type, and fails.
install_missing() {
	missing=""
	for package in "$@"; do
		dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing="$missing $package"
	done
	[ -n "$missing" ] || return 0

	if ! command -v apt-get >/dev/null 2>&1; then
		echo "This is not a Debian system; install what these packages hold:$missing" >&2
		return 1
	fi
	if [ "$(id -u)" = 0 ]; then
		sudo=""
	elif command -v sudo >/dev/null 2>&1 && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
		sudo="sudo"
	else
		echo "Missing system packages. Type this as root, then call me again:" >&2
		echo "    apt-get update && apt-get install -y --no-install-recommends$missing" >&2
		return 1
	fi
	echo "Installing:$missing"
	$sudo apt-get update -qq
	DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
}
