#!/bin/sh
# Install what the tests hold labs against (judges) and run in them (daemons), where it is missing.
# No service of theirs starts by itself: not now (policy-rc.d), and not at the next boot.
set -eu

tools='ip ping tcpdump tshark nft conntrack bpftool ethtool dnsmasq bird radvd nginx busybox curl'
packages='iproute2 iputils-ping tcpdump tshark nftables conntrack bpftool ethtool dnsmasq-base bird2 radvd nginx-light busybox curl'
services='bird radvd nginx nftables'
policy=/usr/sbin/policy-rc.d

missing=
for tool in $tools; do
    command -v "$tool" >/dev/null || missing="$missing $tool"
done
[ -n "$missing" ] || exit 0
echo "installing what the tests need, for it has not:$missing"

restore() {
    rm -f "$policy"
    [ ! -e "$policy.before" ] || mv "$policy.before" "$policy"
}
[ ! -e "$policy" ] || mv "$policy" "$policy.before"
trap restore EXIT
trap 'exit 130' INT TERM HUP
printf '#!/bin/sh\nexit 101\n' > "$policy"
chmod 755 "$policy"

enabled=
for service in $services; do
    [ ! -e "/etc/systemd/system/multi-user.target.wants/$service.service" ] || enabled="$enabled $service"
done
apt-get update -qq
# shellcheck disable=SC2086  # a list of words
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null
for service in $services; do
    case " $enabled " in *" $service "*) continue ;; esac
    ! command -v systemctl >/dev/null || systemctl disable -q "$service" 2>/dev/null || :
done
