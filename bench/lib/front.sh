# shellcheck shell=bash
# Shared by the benchmarks that a shell starts; they set self, name and packages, and then source this.
bench=$(dirname "$self")
root=$(dirname "$bench")
groups=plimsoll-$name.$$	# prefix of every cgroup made here
out=$root/build/$name	# the results
work='' library='' release=''

fail() {
	printf "$name: %s\n" "$@" >&2
	exit 1
}

# Sets library from the value of --library.
take_library() {
	library=$(readlink -e "${1-}") || fail '--library: no such file'
}

become_root() {
	[ "$(id -u)" != 0 ] || return 0
	command -v sudo >/dev/null ||
		fail "making a cgroup needs root, and there is no sudo here: run bench/$name as root"
	exec sudo -- "$self" "$@"
}

# Sets version and mount: where this machine has its memory controller.
find_controller() {
	version=1 mount=$(findmnt -rn -t cgroup -O memory -o TARGET | head -n 1) || true
	[ -z "$mount" ] || return 0
	version=2
	for mount in $(findmnt -rn -t cgroup2 -o TARGET); do
		! grep -qw memory "$mount/cgroup.controllers" || return 0
	done
	fail 'no memory controller: neither cgroup v1 nor v2 is mounted with one.' \
		'On a kernel that has it switched off, boot with cgroup_enable=memory.'
}

check_controller() {
	local probe=$mount/$groups.probe file=memory.limit_in_bytes

	if [ $version = 2 ]; then
		file=memory.max
		grep -qw memory "$mount/cgroup.subtree_control" ||
			echo +memory 2>/dev/null >"$mount/cgroup.subtree_control" ||
			fail "cannot switch the memory controller on below $mount." \
				'Inside a container this is normal: run this on the host or in a virtual machine.'
	fi
	mkdir "$probe" 2>/dev/null || fail "cannot make a cgroup in $mount, although this is root." \
		'Inside a container: run it privileged with a writable cgroup mount, or run this on the host.'
	[ -w "$probe/$file" ] || fail "a new cgroup in $mount has no $file: memory cannot be limited here."
	rmdir "$probe"
}

# Sets cpu_mount: where a group for a CPU quota is made; empty where there is none.
find_cpu_controller() {
	cpu_mount=$mount
	[ $version = 2 ] || cpu_mount=$(findmnt -rn -t cgroup -O cpu -o TARGET | head -n 1) || true
	[ $version = 1 ] || grep -qw cpu "$mount/cgroup.subtree_control" ||
		echo +cpu 2>/dev/null >"$mount/cgroup.subtree_control" || cpu_mount=''
}

remove_cpu_groups() {
	[ -z "$cpu_mount" ] || rmdir "$cpu_mount/$groups".* 2>/dev/null || true
}

# install_packages PACKAGE...: installs those that are missing.
install_packages() {
	local missing=() package sudo=()

	for package; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	command -v apt-get >/dev/null || fail "these Debian packages are missing, and there is no apt-get: ${missing[*]}"
	if [ "$(id -u)" != 0 ]; then
		command -v sudo >/dev/null || fail "these Debian packages are missing, and there is no sudo here: ${missing[*]}"
		sudo=(sudo --)
	fi
	echo "Installing ${missing[*]}"
	sudo+=(env DEBIAN_FRONTEND=noninteractive apt-get -q)
	{ "${sudo[@]}" update || true; "${sudo[@]}" -o DPkg::Lock::Timeout=600 install -y --no-install-recommends "${missing[@]}"; } \
		</dev/null >"$work/apt.log" 2>&1 ||
		fail "apt-get could not install ${missing[*]}:" "$(tail -n 5 "$work/apt.log")"
}

# Runs a command as the owner of the checkout, so that root leaves no files of its own in it.
as_owner() {
	local at=$root

	[ ! -d "$root/build" ] || at=$root/build
	setpriv --reuid "$(stat -c %u "$at")" --regid "$(stat -c %g "$at")" --clear-groups "$@"
}

# Leaves the library in $work, where the users as which servers run can read it.
build() {
	if [ -z "$library" ]; then
		echo 'Building Plimsoll'
		{
			[ -f "$root/build/build.ninja" ] || as_owner meson setup -Dtests=false "$root/build" "$root"
			as_owner ninja -C "$root/build" src/libplimsoll.so.0
		} >"$work/build.log" 2>&1 || fail 'the build failed:' "$(tail -n 20 "$work/build.log")"
		library=$root/build/src/libplimsoll.so.0
		release=$(meson introspect --projectinfo "$root/build" | sed 's/.*"version": "\([^"]*\)".*/\1/')
	fi
	install -m 755 "$library" "$work/libplimsoll.so.0"
	[ -d "$root/build" ] || as_owner mkdir "$root/build"
	as_owner mkdir -p "$out"
}

# Kills what still runs in the cgroups made here, and removes them.
cleanup() {
	local group

	for group in "$mount/$groups".*; do
		[ -d "$group" ] || continue
		for _ in {1..50}; do
			xargs -r kill -KILL <"$group/cgroup.procs" 2>/dev/null || true
			! rmdir "$group" 2>/dev/null || break
			sleep 0.1
		done
	done
	rm -rf "$work"
}

# prepare PACKAGE...: does all that comes before the measuring.
prepare() {
	find_controller
	work=$(mktemp -d "/var/tmp/plimsoll-$name.XXXXXX")	# not /tmp: files there may count as memory
	trap cleanup EXIT
	chmod 711 "$work"
	check_controller
	install_packages "$@"
}

# measure SCRIPT ARGUMENT...: runs the benchmark's part in Python.
measure() {
	local status=0

	python3 -B "$bench/lib/$1" --cgroup-version "$version" --cgroup-prefix "$mount/$groups" \
		--work "$work" --version "${release:-$(basename "$library")}" --out "$out" "${@:2}" &
	trap 'kill -TERM $! 2>/dev/null; wait $! || true; exit 130' INT TERM HUP
	wait $! || status=$?
	chown -R --reference="$root/build" "$out"
	return $status
}
