# The first hour with the package, inside the virtual board, which has never seen it. Every line of configs/README.md that needs no camera of one's own.
failures=0
began() { echo "--- $(cut -d' ' -f1 /proc/uptime) s: $*"; }
check() { name=$1; shift; if "$@" > /tmp/said 2>&1; then echo "ok $name"; else failures=$((failures + 1)); echo "FAIL $name: $*"; tail -5 /tmp/said; fi; }
version=$(cat /io/version)
installed() { [ "$(dpkg-query -W -f '${Version}' recslowfast)" = "$1" ]; }
running() { [ "$(systemctl show recslowfast -p ActiveState --value)" = active ]; }
# The board's root has no user _apt, and its own packages have no archive here.
apt() { apt-get -qq -y -o APT::Sandbox::User=root "$@"; }

began the repository
mkdir -p /etc/apt/keyrings /etc/apt/sources.list.d
: > /etc/apt/sources.list
cp /io/apt/recslowfast.gpg /etc/apt/keyrings/
echo 'deb [signed-by=/etc/apt/keyrings/recslowfast.gpg] file:/io/apt ./' > /etc/apt/sources.list.d/recslowfast.list
check "apt reads the repository, which is signed" apt update
began install
check "installed by apt" apt install "recslowfast=$version"
check "it is this version" installed "$version"
check "the program says so" sh -c "recslowfast --version | grep -qF \"\${0%-*}\"" "$version"
began first look
recslowfast doctor; code=$?
check "doctor names what is missing (8), or finds nothing wrong" sh -c "[ $code = 0 ] || [ $code = 8 ]"
check "the configuration is right" recslowfast check /etc/recslowfast/recslowfast.toml
for file in /usr/share/doc/recslowfast/examples/*/*.toml; do check "example $(basename "$file")" recslowfast check "$file"; done
check "the first answers" sh -c "[ \$(recslowfast run --source 'pathfinder:easy?size=64' --halt fixed:1 --frames 2 --report json | grep -c detections) = 2 ]"
began service
printf '[source]\nuri = "/dev/video0"\n[model]\nname = "pathfinder-hgru"\nhalt = "fixed:1"\n[engine]\nkind = "cpu"\n' > /etc/recslowfast/recslowfast.toml
check "enabled and started" systemctl enable --now recslowfast
check "it runs, and waits for its camera" running
systemctl status --no-pager recslowfast | head -5
began update
check "updated" apt -o Dpkg::Options::=--force-confold install recslowfast
check "it is the newer version" installed 99.0.0-1
check "the configuration was kept" grep -q fixed:1 /etc/recslowfast/recslowfast.toml
check "the service runs again" running
began the way back
check "the older version is there" sh -c "apt-cache madison recslowfast | grep -qF $version"
check "back" apt -o Dpkg::Options::=--force-confold --allow-downgrades install "recslowfast=$version"
check "it is the older version" installed "$version"
check "the service runs still" running
began end
echo "failures: $failures"
[ $failures -eq 0 ]
