#!/bin/sh
# A command in that container, with what docs/ci.md names:  sh docs/ci/run.sh netlab test lab.yaml
exec docker run --rm --init \
    --cap-add NET_ADMIN --cap-add SYS_ADMIN --cap-add SYS_PTRACE --cap-add SYSLOG \
    --security-opt apparmor=unconfined --security-opt systempaths=unconfined \
    --device /dev/net/tun \
    --volume "$PWD:/work" netlab "$@"
