#!/bin/sh
# Installs ephemeral: fetches the archive for this machine, checks it against SHA256SUMS, and only then unpacks it.
# Nothing that was fetched is run before it is checked, and nothing is installed when the check fails.
set -eu

usage='Usage: install.sh [--url BASE] [--prefix DIR] [--target NAME] [--sha256 HEX]

  --url BASE     where the archives and SHA256SUMS are (or EPHEMERAL_INSTALL_URL)
  --prefix DIR   installs into DIR/bin and DIR/share (or EPHEMERAL_INSTALL_PREFIX; default: ~/.local)
  --target NAME  linux-x64, linux-x64-musl, linux-arm64, linux-arm64-musl or darwin-arm64 (default: this machine)
  --sha256 HEX   what the archive must be, from a place you trust more than BASE (default: what BASE/SHA256SUMS says)'

fail() {
  printf 'install.sh: %s\n' "$1" >&2
  exit "${2:-1}"
}

# The archive's name for this machine.
find_target() {
  case $(uname -s) in
    Linux) os=linux ;;
    Darwin) os=darwin ;;
    *) fail "there is no executable for $(uname -s); see https://www.npmjs.com/package/ephemerald for Node and Bun" ;;
  esac
  case $(uname -m) in
    x86_64 | amd64) cpu=x64 ;;
    aarch64 | arm64) cpu=arm64 ;;
    *) fail "there is no executable for a processor of the kind $(uname -m)" ;;
  esac
  if [ "$os" = darwin ] && [ "$cpu" = x64 ]; then
    # A translated shell on an ARM Mac says x86_64.
    [ "$(sysctl -n sysctl.proc_translated 2>/dev/null || echo 0)" = 1 ] || fail "there is no executable for Intel Macs"
    cpu=arm64
  fi
  if [ "$os" = linux ] && uses_musl; then cpu=$cpu-musl; fi
  echo "$os-$cpu"
}

# Whether the C library is musl, as on Alpine. Its loader may be there beside another library's.
uses_musl() {
  case $(ldd --version 2>&1 || :) in
    *musl*) return 0 ;;
    *GLIBC* | *GNU*) return 1 ;;
  esac
  for loader in /lib/ld-musl-*.so.1; do [ -e "$loader" ] && return 0; done
  return 1
}

fetch() { # address file
  if command -v curl >/dev/null 2>&1; then
    curl --fail --silent --show-error --location --output "$2" -- "$1"
  elif command -v wget >/dev/null 2>&1; then
    wget -q -O "$2" -- "$1"
  else
    fail "neither curl nor wget is there to fetch with"
  fi
}

sha256_of() {
  if command -v sha256sum >/dev/null 2>&1; then
    sha256sum <"$1"
  elif command -v shasum >/dev/null 2>&1; then
    shasum -a 256 <"$1"
  elif command -v openssl >/dev/null 2>&1; then
    openssl dgst -sha256 -r <"$1"
  else
    fail "neither sha256sum, shasum nor openssl is there to check with"
  fi | cut -d ' ' -f 1
}

# The sum that SHA256SUMS has for the archive: of a line that is exactly "<64 hex digits>  <name>".
sum_in() { # file name
  awk -v name="$2" '$2 == name && length($1) == 64 && $1 ~ /^[0-9a-f]+$/ && NF == 2 { print $1; exit }' "$1"
}

# Moves a file into its place in one step: whoever runs the old one goes on running it.
place() { # file destination mode
  mkdir -p "${2%/*}"
  cp "$1" "$2.new-$$"
  chmod "$3" "$2.new-$$"
  mv -f "$2.new-$$" "$2"
}

install_files() { # folder
  place "$1/ephemeral" "$prefix/bin/ephemeral" 755
  ln -sf ephemeral "$prefix/bin/ephemerald"
  place "$1/completions/ephemeral.bash" "$prefix/share/bash-completion/completions/ephemeral" 644
  place "$1/completions/_ephemeral" "$prefix/share/zsh/site-functions/_ephemeral" 644
  place "$1/completions/ephemeral.fish" "$prefix/share/fish/vendor_completions.d/ephemeral.fish" 644
}

# The program is there and checked: whether it runs here is another question.
say_how_it_runs() {
  if version=$("$prefix/bin/ephemeral" version 2>"$scratch/complaints"); then
    echo "ephemeral $version is installed: $prefix/bin/ephemeral"
  else
    cat "$scratch/complaints" >&2
    case $target in
      *-musl) fail "it is installed but does not run; it needs libstdc++: apk add libstdc++" ;;
      *) fail "$prefix/bin/ephemeral is installed but does not run on this machine" ;;
    esac
  fi
  case :$PATH: in
    *":$prefix/bin:"*) ;;
    *) echo "Not on PATH yet: add $prefix/bin to it" ;;
  esac
}

main() {
  url=${EPHEMERAL_INSTALL_URL-}
  prefix=${EPHEMERAL_INSTALL_PREFIX-}
  target='' wanted=''
  while [ $# -gt 0 ]; do
    case $1 in
      --help | -h) echo "$usage"; exit 0 ;;
      --url | --prefix | --target | --sha256) [ $# -gt 1 ] && [ -n "$2" ] || fail "$1 lacks its value" 64 ;;
      *) fail "unknown argument $1
$usage" 64 ;;
    esac
    case $1 in
      --url) url=$2 ;;
      --prefix) prefix=$2 ;;
      --target) target=$2 ;;
      --sha256) wanted=$2 ;;
    esac
    shift 2
  done
  [ -n "$url" ] || fail "where from? Give --url BASE or EPHEMERAL_INSTALL_URL" 64
  [ -n "$prefix" ] || prefix=${HOME:?HOME is not set; give --prefix DIR}/.local
  [ -n "$target" ] || target=$(find_target)

  umask 022
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  archive=ephemeral-$target.tar.gz
  fetch "${url%/}/$archive" "$scratch/$archive" || fail "cannot fetch ${url%/}/$archive"
  if [ -z "$wanted" ]; then
    fetch "${url%/}/SHA256SUMS" "$scratch/SHA256SUMS" || fail "cannot fetch ${url%/}/SHA256SUMS"
    wanted=$(sum_in "$scratch/SHA256SUMS" "$archive")
    [ -n "$wanted" ] || fail "SHA256SUMS has no line for $archive; nothing is installed"
  fi
  actual=$(sha256_of "$scratch/$archive")
  if [ "$actual" != "$wanted" ]; then
    fail "$archive is not what it should be; nothing is installed
  wanted sha256 $wanted
  got    sha256 $actual"
  fi
  tar -xzf "$scratch/$archive" -C "$scratch"
  install_files "$scratch/ephemeral-$target"
  say_how_it_runs
}

# The last line: a script that was cut short on its way does nothing.
main "$@"
