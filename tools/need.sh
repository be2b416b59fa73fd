#!/bin/sh
# Makes sure that programs of the system are there: tools/need.sh venv chromium postgresql node nginx wrk
# As root on Debian and its relatives it installs what is missing; otherwise it says in one line what to install.
set -eu

is_there() {
    case "$1" in
        venv) "${PYTHON:-python3}" -c 'import ensurepip, venv' ;;
        chromium) test -x "${CHROMIUM:-/usr/bin/chromium}" ;;
        postgresql) command -v initdb || ls /usr/lib/postgresql/*/bin/initdb ;;
        node) command -v node && command -v npm ;;
        dovecot) test -x /usr/sbin/dovecot && ls /usr/lib/dovecot/imap /usr/lib/dovecot/lmtp ;;
        nginx) command -v nginx || test -x /usr/sbin/nginx ;;
        *) command -v "$1" ;;
    esac >/dev/null 2>&1
}

packages_of() {
    case "$1" in
        venv) echo python3-venv ;;
        chromium) echo chromium fonts-dejavu-core ;;
        node) echo nodejs npm ;;
        dovecot) echo dovecot-imapd dovecot-lmtpd ;;
        nginx) echo nginx-light ;;
        *) echo "$1" ;;
    esac
}

missing=""
for program in "$@"; do
    is_there "$program" || missing="$missing $(packages_of "$program")"
done
test -n "$missing" || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing from Debian:$missing"
    export DEBIAN_FRONTEND=noninteractive
    log=$(mktemp)
    # shellcheck disable=SC2086  # a list of names on purpose
    { apt-get -qq update && apt-get -qq install --yes --no-install-recommends $missing; } >"$log" 2>&1 ||
        { cat "$log" >&2; exit 1; }
    rm -f "$log"
else
    echo "Missing on this machine:$missing. Install it, for instance: sudo apt-get install$missing" >&2
    exit 1
fi

for program in "$@"; do
    is_there "$program" || { echo "$program is still missing after the installation of:$missing" >&2; exit 1; }
done
