#!/bin/sh
# Make sure that system programs are there: install them where apt and root are, else say how.
#   sh tools/system_packages.sh bubblewrap chromium
missing=""
for package in "$@"; do
    case $package in
        bubblewrap) command -v bwrap >/dev/null || missing="$missing bubblewrap" ;;
        chromium) command -v chromium >/dev/null || command -v google-chrome >/dev/null || missing="$missing chromium" ;;
        *) echo "system_packages: unknown package $package" >&2; exit 2 ;;
    esac
done
[ -z "$missing" ] && exit 0
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    echo "installing:$missing"
    apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $missing >/dev/null && exit 0
fi
echo "WARNING: missing on this system:$missing" >&2
echo "  On Debian or Ubuntu:  sudo apt-get install$missing" >&2
echo "  bubblewrap is the sandbox of grading; without it grading runs with process limits only." >&2
echo "  chromium drives the browser tests; without it they are skipped." >&2
exit 0
