/* The floor: what the kernel itself takes for a ring of N routers, asked for as cheaply as can be.
 *
 *     floor up N PREFIX      named namespaces PREFIX.r0 …, veth pairs, addresses, one default route
 *     floor down N PREFIX    the names taken away, and waited for until the kernel has cleaned up
 *
 * One thread, raw netlink (rtnetlink(7)), no parsing, no checks beyond "did it work", no journal. The
 * kernel is left in the same state as by `netlab up`: names under /run/netns, MACs, both ends up, lo
 * up, forwarding on, the switches of netlab's baseline that a fresh namespace does not have.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BATCH (48 << 10)
static char buffer[BATCH + 8192];
static size_t used;
static unsigned seq;

static void die(const char *what) { perror(what); exit(1); }

static struct nlmsghdr *begin(int type, int flags, const void *body, size_t size)
{
    struct nlmsghdr *h = (void *)(buffer + used);
    memset(h, 0, sizeof *h);
    h->nlmsg_type = type;
    h->nlmsg_flags = NLM_F_REQUEST | flags;
    h->nlmsg_seq = ++seq;
    memcpy(h + 1, body, size);
    h->nlmsg_len = sizeof *h + NLMSG_ALIGN(size);
    return h;
}

static struct rtattr *attr(struct nlmsghdr *h, int type, const void *data, size_t size)
{
    struct rtattr *a = (void *)((char *)h + NLMSG_ALIGN(h->nlmsg_len));
    a->rta_type = type;
    a->rta_len = RTA_LENGTH(size);
    if (size) memcpy(RTA_DATA(a), data, size);
    h->nlmsg_len = NLMSG_ALIGN(h->nlmsg_len) + RTA_ALIGN(a->rta_len);
    return a;
}

static void end(struct nlmsghdr *h, struct rtattr *nest)
{
    nest->rta_len = (char *)h + h->nlmsg_len - (char *)nest;
}

static void finish(struct nlmsghdr *h) { used += NLMSG_ALIGN(h->nlmsg_len); }

static void flush(int sock)
{
    if (!used) return;
    struct nlmsghdr *last = (void *)buffer;
    for (struct nlmsghdr *h = last; (char *)h < buffer + used; h = (void *)((char *)h + NLMSG_ALIGN(h->nlmsg_len)))
        last = h;
    last->nlmsg_flags |= NLM_F_ACK;
    if (send(sock, buffer, used, 0) < 0) die("send");
    static char answer[65536];
    for (;;) {
        int got = recv(sock, answer, sizeof answer, 0);
        if (got < 0) die("recv");
        for (struct nlmsghdr *h = (void *)answer; NLMSG_OK(h, (unsigned)got); h = NLMSG_NEXT(h, got)) {
            struct nlmsgerr *e = NLMSG_DATA(h);
            if (h->nlmsg_type != NLMSG_ERROR) continue;
            if (e->error) { errno = -e->error; die("refused"); }
            if (h->nlmsg_seq == last->nlmsg_seq) { used = 0; return; }
        }
    }
}

static int netlink(void)
{
    int sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (sock < 0) die("socket");
    return sock;
}

static int here(void)
{
    int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (fd < 0) die("/proc/thread-self/ns/net");
    return fd;
}

static void set(const char *name, const char *value)
{
    int fd = open(name, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, value, strlen(value)) < 0) die(name);
    close(fd);
}

static void up(int index)
{
    struct ifinfomsg i = { .ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP };
    finish(begin(RTM_NEWLINK, 0, &i, sizeof i));
}

static void address(int index, unsigned ip)
{
    struct ifaddrmsg m = { .ifa_family = AF_INET, .ifa_prefixlen = 30, .ifa_index = index };
    unsigned local = htonl(ip), broadcast = htonl(ip | 3);
    struct nlmsghdr *h = begin(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &m, sizeof m);
    attr(h, IFA_LOCAL, &local, 4);
    attr(h, IFA_ADDRESS, &local, 4);
    attr(h, IFA_BROADCAST, &broadcast, 4);
    finish(h);
}

static void default_route(unsigned via, int index)
{
    struct rtmsg m = { .rtm_family = AF_INET, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_STATIC,
                       .rtm_type = RTN_UNICAST };
    unsigned gateway = htonl(via);
    struct nlmsghdr *h = begin(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &m, sizeof m);
    attr(h, RTA_GATEWAY, &gateway, 4);
    attr(h, RTA_OIF, &index, 4);
    finish(h);
}

static void veth(int i, int n, int fd, int peer_fd)
{
    struct ifinfomsg a = { .ifi_index = 16, .ifi_flags = IFF_UP, .ifi_change = IFF_UP }, b = { .ifi_index = 17 };
    unsigned char mac[6] = { 2, 1, i >> 16, i >> 8, i, 0 }, peer_mac[6] = { 2, 2, i >> 16, i >> 8, i, 0 };
    unsigned mtu = 1500;
    struct nlmsghdr *h = begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &a, sizeof a);
    attr(h, IFLA_IFNAME, "right", 6);
    attr(h, IFLA_MTU, &mtu, 4);
    attr(h, IFLA_ADDRESS, mac, 6);
    attr(h, IFLA_NET_NS_FD, &fd, 4);
    struct rtattr *info = attr(h, IFLA_LINKINFO, 0, 0);
    attr(h, IFLA_INFO_KIND, "veth", 5);
    struct rtattr *data = attr(h, IFLA_INFO_DATA, 0, 0);
    struct rtattr *peer = attr(h, VETH_INFO_PEER, &b, sizeof b);
    attr(h, IFLA_IFNAME, "left", 5);
    attr(h, IFLA_MTU, &mtu, 4);
    attr(h, IFLA_ADDRESS, peer_mac, 6);
    attr(h, IFLA_NET_NS_FD, &peer_fd, 4);
    end(h, peer);
    end(h, data);
    end(h, info);
    finish(h);
    (void)n;
}

static void build(int n, const char *prefix, char **sysctls, int count)
{
    int *ns = malloc(n * sizeof *ns), *sock = malloc(n * sizeof *sock);
    mkdir("/run/netns", 0755);
    if (mount("", "/run/netns", "none", MS_SHARED | MS_REC, 0) < 0) {
        if (mount("/run/netns", "/run/netns", "none", MS_BIND | MS_REC, 0) < 0) die("/run/netns");
        mount("", "/run/netns", "none", MS_SHARED | MS_REC, 0);
    }
    for (int i = 0; i < n; i++) {
        char path[256];
        if (unshare(CLONE_NEWNET) < 0) die("unshare");
        ns[i] = here();
        sock[i] = netlink();
        for (int s = 0; s + 1 < count; s += 2) set(sysctls[s], sysctls[s + 1]);
        snprintf(path, sizeof path, "/run/netns/%s.r%d", prefix, i);
        close(open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444));
        if (mount("/proc/thread-self/ns/net", path, "none", MS_BIND, 0) < 0) die(path);
    }
    if (unshare(CLONE_NEWNET) < 0) die("unshare");
    int base = netlink();
    for (int i = 0; i < n; i++) {
        veth(i, n, ns[i], ns[(i + 1) % n]);
        if (used > BATCH) flush(base);
    }
    flush(base);
    for (int i = 0; i < n; i++) {
        up(1);
        up(17);
        address(16, 0x0a000001 + 4 * i);
        address(17, 0x0a000002 + 4 * ((i + n - 1) % n));
        default_route(0x0a000002 + 4 * i, 16);
        flush(sock[i]);
    }
}

static void name_by_number(int number, int fd)
{
    struct rtgenmsg g = { .rtgen_family = AF_UNSPEC };
    int sock = netlink();
    struct nlmsghdr *h = begin(RTM_NEWNSID, 0, &g, sizeof g);
    h->nlmsg_len = NLMSG_ALIGN(h->nlmsg_len);
    attr(h, NETNSA_NSID, &number, 4);
    attr(h, NETNSA_FD, &fd, 4);
    finish(h);
    flush(sock);
    close(sock);
}

static void hear_that_one_goes(int sock)
{
    static char said[65536];
    for (;;) {
        int got = recv(sock, said, sizeof said, 0);
        if (got < 0) die("recv");
        for (struct nlmsghdr *h = (void *)said; NLMSG_OK(h, (unsigned)got); h = NLMSG_NEXT(h, got))
            if (h->nlmsg_type == RTM_DELNSID) return;
    }
}

static void wait_for_the_kernel(void)
{
    /* as netlab/kernel/settle.py: the turn after the one that has them all has begun */
    if (unshare(CLONE_NEWNET) < 0) die("unshare");
    int home = here(), sock = netlink(), group = RTNLGRP_NSID;
    struct sockaddr_nl any = { .nl_family = AF_NETLINK };
    if (bind(sock, (void *)&any, sizeof any) < 0) die("bind");
    if (setsockopt(sock, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) < 0) die("setsockopt");
    for (int i = 0; i < 2; i++) {
        if (unshare(CLONE_NEWNET) < 0) die("unshare");
        int canary = here();
        if (setns(home, CLONE_NEWNET) < 0) die("setns");
        name_by_number(i, canary);
        close(canary);
        hear_that_one_goes(sock);
    }
}

static void clear(int n, const char *prefix)
{
    for (int i = 0; i < n; i++) {
        char path[256];
        snprintf(path, sizeof path, "/run/netns/%s.r%d", prefix, i);
        umount2(path, MNT_DETACH);
        unlink(path);
    }
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    if (argc < 4) { fprintf(stderr, "usage: floor up|down N PREFIX [SYSCTL-FILE VALUE …]\n"); return 2; }
    int n = atoi(argv[2]);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    double start = now();
    if (!strcmp(argv[1], "up")) {
        build(n, argv[3], argv + 4, argc - 4);
        printf("%.6f\n", now() - start);
        fflush(stdout);
        _exit(0); /* the kernel closes the rest, as it does for netlab */
    }
    clear(n, argv[3]);
    double gone = now();
    wait_for_the_kernel();
    printf("%.6f %.6f\n", gone - start, now() - start);
    return 0;
}
