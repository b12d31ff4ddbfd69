// SPDX-License-Identifier: GPL-2.0
/*
 * popcorn - net: the network between the kernels
 *
 * Kernel N has the addresses 10.77.0.(N+1) and fd70:6f70:636f:726e::(N+1) on its interface
 * pcn0, and the primary is the router of all others. Addresses and routes are added by
 * rtnetlink(7), so that it takes no other program in an initial RAM disk, and what is there
 * already stays as it is; masquerading is a table of nftables, and takes nft(8).
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <limits.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
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
/* Worse than what others have: 1024 is that of IPv6 and of routes from DHCP. */
#define METRIC		(1 << 24)

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

static int switch_on(int fd)
{
	struct ifreq request = { .ifr_name = INTERFACE };

	if (ioctl(fd, SIOCGIFFLAGS, &request))
		return cannot("read the state of " INTERFACE);
	request.ifr_flags |= IFF_UP;
	return ioctl(fd, SIOCSIFFLAGS, &request) ? cannot("switch on " INTERFACE) : PCN_DONE;
}

/* --- what the kernel is asked to add --- */

/* A request, and then its attributes */
struct request {
	struct nlmsghdr head;
	union {
		struct ifaddrmsg address;
		struct rtmsg route;
	};
	char attributes[128];
};

static void begin(struct request *r, int type, size_t length)
{
	r->head = (struct nlmsghdr) {
		.nlmsg_len = NLMSG_LENGTH(length), .nlmsg_type = type,
		.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL,
	};
}

static void attribute(struct request *r, int type, const void *data, size_t length)
{
	struct rtattr *a = (void *)((char *)r + NLMSG_ALIGN(r->head.nlmsg_len));

	a->rta_type = type;
	a->rta_len = RTA_LENGTH(length);
	memcpy(RTA_DATA(a), data, length);
	r->head.nlmsg_len = NLMSG_ALIGN(r->head.nlmsg_len) + RTA_ALIGN(a->rta_len);
}

/* The attribute @type is the address of kernel @kid. */
static void attribute_address(struct request *r, int type, int family, int kid)
{
	struct in_addr in = address4(kid);
	struct in6_addr in6 = address6(kid);

	if (family == AF_INET)
		attribute(r, type, &in, sizeof(in));
	else
		attribute(r, type, &in6, sizeof(in6));
}

/* Returns 0 if it was done, or was done before, or -1 with errno. */
static int ask(const struct request *r)
{
	struct {
		struct nlmsghdr head;
		struct nlmsgerr error;
		char more[sizeof(struct request)];
	} answer = { 0 };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0)
		return -1;
	if (send(fd, r, r->head.nlmsg_len, 0) < 0 || recv(fd, &answer, sizeof(answer), 0) < 0)
		answer.error.error = -errno;
	else if (answer.head.nlmsg_type != NLMSG_ERROR)
		answer.error.error = -EPROTO;
	close(fd);
	errno = -answer.error.error;
	return errno && errno != EEXIST ? -1 : 0;
}

static int add_address(int family, int kid)
{
	struct in_addr broadcast = { htonl(0x0a4d00ff) };
	struct request r = {
		.address = {
			.ifa_family = family, .ifa_prefixlen = family == AF_INET ? 24 : 64,
			.ifa_index = if_nametoindex(INTERFACE),
		},
	};

	begin(&r, RTM_NEWADDR, sizeof(r.address));
	attribute_address(&r, IFA_LOCAL, family, kid);
	attribute_address(&r, IFA_ADDRESS, family, kid);
	if (family == AF_INET)
		attribute(&r, IFA_BROADCAST, &broadcast, sizeof(broadcast));
	return ask(&r);
}

/* To the primary. Who has another route with this metric keeps that. */
static int add_default_route(int family)
{
	uint32_t metric = METRIC, interface = if_nametoindex(INTERFACE);
	struct request r = {
		.route = {
			.rtm_family = family, .rtm_table = RT_TABLE_MAIN,
			.rtm_protocol = RTPROT_BOOT, .rtm_scope = RT_SCOPE_UNIVERSE,
			.rtm_type = RTN_UNICAST,
		},
	};

	begin(&r, RTM_NEWROUTE, sizeof(r.route));
	attribute_address(&r, RTA_GATEWAY, family, 0);
	attribute(&r, RTA_OIF, &interface, sizeof(interface));
	attribute(&r, RTA_PRIORITY, &metric, sizeof(metric));
	return ask(&r);
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

static int up4(int kid)
{
	if (add_address(AF_INET, kid))
		return cannot("add the IPv4 address");
	if (kid && add_default_route(AF_INET))
		return cannot("add the IPv4 default route");
	return PCN_DONE;
}

/* Who has no IPv6, or has it switched off, does without. */
static int up6(int kid)
{
	if (sysctl_is("ipv6/conf/" INTERFACE "/disable_ipv6", "1"))
		return PCN_DONE;
	if (add_address(AF_INET6, kid))
		return errno == EOPNOTSUPP ? PCN_DONE : cannot("add the IPv6 address");
	if (kid && add_default_route(AF_INET6))
		return cannot("add the IPv6 default route");
	return PCN_DONE;
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

	/*
	 * No other kernel has the address: it can be used at once. The router is known: no
	 * other kernel can say that it is one.
	 */
	sysctl("ipv6/conf/" INTERFACE "/accept_dad", "0");
	sysctl("ipv6/conf/" INTERFACE "/accept_ra", "0");
	code = switch_on(fd);
	close(fd);
	if (!code)
		code = up4(kid);
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
	fds[0] = pcn_above_streams(fds[0]);	/* dup2() would leave 0 to be closed */
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
 * address and default route from them would lose both. Those of the kernels it routes for are
 * not among them.
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
		if (*entry->d_name != '.' && strcmp(entry->d_name, INTERFACE) &&
		    sysctl_is(name, "1"))
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

	if (!strcmp(what, "hosts") && !c->masquerade && !c->no_masquerade)
		return print_hosts();
	if (!strcmp(what, "hosts")) {
		pcn_error("net: 'hosts' prints names and does nothing else");
		return PCN_USAGE;
	}
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
