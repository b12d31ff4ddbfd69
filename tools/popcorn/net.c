// SPDX-License-Identifier: GPL-2.0
/*
 * popcorn - net: the network between the kernels
 *
 * Kernel N has the addresses 10.77.0.(N+1) and fd70:6f70:636f:726e::(N+1) on its interface
 * pcn0, and the primary is the router of all others. Addresses are set by ioctls, see
 * netdevice(7), so that it takes no other program in an initial RAM disk; masquerading is a
 * table of nftables, and takes nft(8).
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <limits.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <net/route.h>
#include <netinet/in.h>
#include <netpacket/packet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "popcorn.h"

#define INTERFACE	"pcn0"
#define KERNELS_MAX	64
/* Worse than a route that somebody has set on purpose */
#define METRIC		1024

/* As in <linux/ipv6.h> and <linux/ipv6_route.h>, which do not go with the headers of libc. */
struct in6_ifreq {
	struct in6_addr addr;
	uint32_t prefixlen;
	int ifindex;
};

/* What is masqueraded: what comes from other kernels and leaves by another interface. */
static const char ruleset[] =
	"add table inet popcorn\n"
	"delete table inet popcorn\n"
	"table inet popcorn {\n"
	"	chain postrouting {\n"
	"		type nat hook postrouting priority srcnat; policy accept;\n"
	"		ip saddr 10.77.0.0/24 oifname != \"" INTERFACE "\" masquerade\n"
	"		ip6 saddr fd70:6f70:636f:726e::/64 oifname != \"" INTERFACE "\" masquerade\n"
	"	}\n"
	"}\n";

static const char no_ruleset[] =
	"add table inet popcorn\n"
	"delete table inet popcorn\n";

/* --- addresses --- */

static struct in_addr address4(int kid)
{
	return (struct in_addr) { htonl(0x0a4d0001 + kid) };	/* 10.77.0.1 */
}

static struct in6_addr address6(int kid)
{
	struct in6_addr address;

	inet_pton(AF_INET6, "fd70:6f70:636f:726e::", &address);
	address.s6_addr[15] = kid + 1;
	return address;
}

/* The address in words, valid until the next call. */
static const char *show4(int kid)
{
	return inet_ntoa(address4(kid));
}

static const char *show6(int kid)
{
	static char text[INET6_ADDRSTRLEN];
	struct in6_addr address = address6(kid);

	return inet_ntop(AF_INET6, &address, text, sizeof(text));
}

static int cannot(const char *what)
{
	int code = errno == EPERM || errno == EACCES ? PCN_PERM : PCN_FAILED;

	pcn_error("net: cannot %s: %m", what);
	return code;
}

/* A socket to set up the interface by. Ends the command if there is no interface. */
static int open_socket(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		pcn_die(PCN_ABSENT, "net: this kernel has no IPv4: %m");
	if (!if_nametoindex(INTERFACE))
		pcn_die(PCN_ABSENT,
			"net: there is no interface " INTERFACE "; the kernel needs CONFIG_POPCORN_NET, and the machine another kernel");
	return fd;
}

static struct ifreq request_with(struct in_addr address)
{
	struct ifreq request = { .ifr_name = INTERFACE };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr = address };

	memcpy(&request.ifr_addr, &in, sizeof(in));
	return request;
}

static int set_address4(int fd, int kid)
{
	struct ifreq address = request_with(address4(kid));
	struct ifreq mask = request_with((struct in_addr) { htonl(0xffffff00) });

	if (ioctl(fd, SIOCSIFADDR, &address) || ioctl(fd, SIOCSIFNETMASK, &mask))
		return cannot("set the IPv4 address");
	return PCN_DONE;
}

static int switch_on(int fd)
{
	struct ifreq request = { .ifr_name = INTERFACE };

	if (ioctl(fd, SIOCGIFFLAGS, &request))
		return cannot("read the state of " INTERFACE);
	request.ifr_flags |= IFF_UP;
	return ioctl(fd, SIOCSIFFLAGS, &request) ? cannot("switch on " INTERFACE) : PCN_DONE;
}

/* Another one with the same default route is as good. */
static int set_route4(int fd)
{
	static char name[] = INTERFACE;
	struct rtentry route = {
		.rt_flags = RTF_UP | RTF_GATEWAY, .rt_dev = name, .rt_metric = METRIC + 1,
	};
	struct sockaddr_in any = { .sin_family = AF_INET };
	struct sockaddr_in gateway = { .sin_family = AF_INET, .sin_addr = address4(0) };

	memcpy(&route.rt_dst, &any, sizeof(any));
	memcpy(&route.rt_genmask, &any, sizeof(any));
	memcpy(&route.rt_gateway, &gateway, sizeof(gateway));
	return ioctl(fd, SIOCADDRT, &route) && errno != EEXIST ?
	       cannot("set the IPv4 default route") : PCN_DONE;
}

/* As <linux/ipv6_route.h> has it */
struct in6_route {
	struct in6_addr dst, src, gateway;
	uint32_t type;
	uint16_t dst_len, src_len;
	uint32_t metric;
	unsigned long info;
	uint32_t flags;
	int ifindex;
};

static int set_address6(int fd, int kid)
{
	struct in6_ifreq request = {
		.addr = address6(kid), .prefixlen = 64, .ifindex = if_nametoindex(INTERFACE),
	};

	return ioctl(fd, SIOCSIFADDR, &request) && errno != EEXIST ?
	       cannot("set the IPv6 address") : PCN_DONE;
}

static int set_route6(int fd)
{
	struct in6_route route = {
		.gateway = address6(0), .metric = METRIC, .flags = RTF_UP | RTF_GATEWAY,
		.ifindex = if_nametoindex(INTERFACE),
	};

	return ioctl(fd, SIOCADDRT, &route) && errno != EEXIST ?
	       cannot("set the IPv6 default route") : PCN_DONE;
}

/* --- parameters of the kernel --- */

static void sysctl_path(char *path, const char *name)
{
	const char *root = getenv("POPCORN_SYSCTL");	/* for tests */

	snprintf(path, PATH_MAX, "%s/net/%s", root ? root : "/proc/sys", name);
}

/* Returns 0, or -1 with errno. */
static int sysctl(const char *name, const char *value)
{
	char path[PATH_MAX];
	int fd, err;

	sysctl_path(path, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	err = write(fd, value, strlen(value)) < 0 ? -1 : 0;
	close(fd);
	return err;
}

static bool sysctl_is(const char *name, const char *value)
{
	char path[PATH_MAX], text[16] = "";
	int fd;

	sysctl_path(path, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	if (read(fd, text, sizeof(text) - 1) < 0)
		*text = '\0';
	close(fd);
	return !strncmp(text, value, strlen(value));
}

/* --- up --- */

/* Who has no IPv6 does without. */
static int up6(int kid)
{
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), code;

	if (fd < 0)
		return PCN_DONE;
	code = set_address6(fd, kid);
	if (!code && kid)
		code = set_route6(fd);
	close(fd);
	return code;
}

/* A name that the kernel has from its configuration is none. */
static void set_host_name(int kid)
{
	char name[HOST_NAME_MAX + 1] = "";

	gethostname(name, sizeof(name) - 1);
	if (*name && strcmp(name, "(none)") && strcmp(name, "localhost"))
		return;
	snprintf(name, sizeof(name), "kernel%d", kid);
	if (sethostname(name, strlen(name)))
		cannot("set the host name");
}

static int net_up(int kid)
{
	int fd = open_socket(), code;

	/* No other kernel has the address: it can be used at once. */
	sysctl("ipv6/conf/" INTERFACE "/accept_dad", "0");
	code = set_address4(fd, kid);
	if (!code)
		code = switch_on(fd);
	if (!code && kid)
		code = set_route4(fd);
	close(fd);
	if (!code)
		code = up6(kid);
	if (!code)
		set_host_name(kid);
	return code;
}

/* --- masquerading --- */

/* Gives nft what it is to do. Returns its exit status, or -1 with errno. */
static int run_nft(const char *rules)
{
	int status, fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return -1;
	pid = fork();
	if (pid < 0)
		return -1;
	if (!pid) {
		dup2(fds[0], STDIN_FILENO);
		execlp("nft", "nft", "-f", "-", NULL);
		_exit(errno == ENOENT ? PCN_NOPROGRAM : PCN_NOEXEC);
	}
	close(fds[0]);
	if (write(fds[1], rules, strlen(rules)) < 0)
		pcn_error("net: nft does not read its rules: %m");
	close(fds[1]);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : PCN_FAILED;
}

static int set_rules(const char *rules)
{
	int status;

	signal(SIGPIPE, SIG_IGN);
	status = run_nft(rules);
	if (!status)
		return PCN_DONE;
	if (status == PCN_NOPROGRAM)
		pcn_error("net: masquerading takes the program nft, and there is none; install nftables");
	else
		pcn_error("net: nft has failed; the kernel needs NF_TABLES_INET and NFT_MASQ, and it takes root");
	return PCN_FAILED;
}

/*
 * A router does not listen to other routers, unless it is told to. One that has its own
 * address and default route from them would lose both.
 */
static void keep_advertisements(void)
{
	char path[PATH_MAX], name[64];
	struct dirent *entry;
	DIR *dir;

	sysctl_path(path, "ipv6/conf");
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		snprintf(name, sizeof(name), "ipv6/conf/%.*s/accept_ra", IFNAMSIZ - 1,
			 entry->d_name);
		if (*entry->d_name != '.' && sysctl_is(name, "1"))
			sysctl(name, "2");
	}
	if (dir)
		closedir(dir);
}

static int masquerade(int kid)
{
	int code;

	if (kid) {
		pcn_error("net: only the primary routes for the others; run it on kernel 0");
		return PCN_STATE;
	}
	code = set_rules(ruleset);
	if (code)
		return code;
	keep_advertisements();
	if (sysctl("ipv4/ip_forward", "1"))
		return cannot("switch on forwarding");
	if (sysctl("ipv6/conf/all/forwarding", "1") && errno != ENOENT)
		return cannot("switch on forwarding of IPv6");
	return PCN_DONE;
}

/* --- show --- */

static void print_address(const struct ifaddrs *a)
{
	char text[INET6_ADDRSTRLEN];

	if (a->ifa_addr->sa_family == AF_INET)
		inet_ntop(AF_INET, &((struct sockaddr_in *)a->ifa_addr)->sin_addr, text,
			  sizeof(text));
	else
		inet_ntop(AF_INET6, &((struct sockaddr_in6 *)a->ifa_addr)->sin6_addr, text,
			  sizeof(text));
	printf("  address %s\n", text);
}

static void print_link(const struct ifaddrs *a)
{
	const struct sockaddr_ll *link = (struct sockaddr_ll *)a->ifa_addr;
	const unsigned char *mac = link->sll_addr;

	printf(INTERFACE ": %s, %s, %02x:%02x:%02x:%02x:%02x:%02x\n",
	       a->ifa_flags & IFF_UP ? "up" : "down",
	       a->ifa_flags & IFF_RUNNING ? "carrier" : "no carrier",
	       mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

/* Once for each kind of address: getifaddrs() has the link first. */
static void print_interface(void)
{
	struct ifaddrs *all, *a;

	if (getifaddrs(&all))
		pcn_die(PCN_FAILED, "net: cannot read the addresses: %m");
	for (a = all; a; a = a->ifa_next) {
		if (strcmp(a->ifa_name, INTERFACE) || !a->ifa_addr)
			continue;
		if (a->ifa_addr->sa_family == AF_PACKET)
			print_link(a);
		else
			print_address(a);
	}
	freeifaddrs(all);
}

static void add_peer(struct pcn_table *table, int kid)
{
	char number[16], *state = pcn_read("links/%d/state", kid);

	snprintf(number, sizeof(number), "%d", kid);
	pcn_table_add(table, number);
	pcn_table_add(table, state && *state ? pcn_clean(state) : "-");
	pcn_table_add(table, show4(kid));
	pcn_table_add(table, show6(kid));
	free(state);
}

static int show(void)
{
	static const struct pcn_column columns[] = {
		{ "KID", true }, { "LINK", false }, { "IPV4", false }, { "IPV6", false },
	};
	struct pcn_table table = { .columns = columns, .width = ARRAY_SIZE(columns) };
	const struct pcn_kernel *peers;
	size_t count, i;

	peers = pcn_links(&count);
	close(open_socket());
	print_interface();
	for (i = 0; i < count; i++)
		add_peer(&table, peers[i].kid);
	pcn_table_print(&table);
	return PCN_DONE;
}

/* For /etc/hosts */
static int print_hosts(void)
{
	int kid;

	for (kid = 0; kid < KERNELS_MAX; kid++) {
		printf("%s kernel%d\n", show4(kid), kid);
		printf("%s kernel%d\n", show6(kid), kid);
	}
	return PCN_DONE;
}

/**
 * pcn_cmd_net() - popcorn net
 * @c:	the command line
 *
 * Return: exit code.
 */
int pcn_cmd_net(const struct pcn_call *c)
{
	const char *what = c->argc ? c->argv[0] : "";
	int kid = pcn_self(), code = PCN_DONE;

	if (!strcmp(what, "hosts"))
		return print_hosts();
	if (*what && strcmp(what, "up")) {
		pcn_error("net: it can be 'up' or 'hosts', and not '%s'", what);
		return PCN_USAGE;
	}
	if (kid < 0 || kid >= KERNELS_MAX)
		pcn_die(PCN_ABSENT, "net: this kernel has no Popcorn support");
	if (c->masquerade && c->no_masquerade) {
		pcn_error("net: --masquerade or --no-masquerade, and not both");
		return PCN_USAGE;
	}
	if (*what)
		code = net_up(kid);
	if (!code && c->masquerade)
		code = masquerade(kid);
	if (!code && c->no_masquerade)
		code = set_rules(no_ruleset);
	return *what || c->masquerade || c->no_masquerade ? code : show();
}
