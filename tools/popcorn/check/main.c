// SPDX-License-Identifier: GPL-2.0
/*
 * The checker of the coherency protocols, and of the rule of holding pages. It runs the
 * kernel's own code, see model.c and hold_sim.c for what it assumes about everything else.
 */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

static const char usage[] =
"Usage: check [OPTION...]                  explore one configuration\n"
"       check [LIMIT...] sound quick|beyond|deep\n"
"                                          the sound protocols pass\n"
"       check [LIMIT...] seeds             a rule less is noticed\n"
"       check [LIMIT...] flaws             flaws of the published protocol\n"
"       check sim [OPTION...]              random runs; `check sim -h'\n"
"       check count                        messages per operation\n"
"       check hold [SEEDS]                 the rule of holding pages, simulated\n"
"                                          with so many seeds (default 3)\n"
"       check hold seeds                   a part of it less is noticed\n"
"       check mirror [deep]                coherent memory: entries go in time\n"
"       check mirror mistakes              each mistake is found\n"
"       check fuzz                         nonsense is refused by name\n"
"       check tables | dot NAME            print the transition tables\n"
"\n"
"      --protocol NAME   owner (default) or vote\n"
"  -n, --kernels N       2 to 6 (default 3)\n"
"      --any-order       messages may overtake each other (default: FIFO)\n"
"      --origin          kernel 0 owns untouched pages (default: a vote)\n"
"      --broadcast       vote: ask all, not only the copyset\n"
"      --start STATE     U: untouched; S: shared by all; join: shared by all\n"
"                        but the last; owned: used by kernel 0 alone, as at\n"
"                        the origin of a process, which --origin makes it\n"
"                        (default S)\n"
"      --reads N         reads of each kernel, 0 to 6 (default unlimited)\n"
"      --writes N        writes of each kernel, 0 to 6 (default unlimited)\n"
"      --readers MASK    kernels that read (default all)\n"
"      --writers MASK    kernels that write (default all)\n"
"      --drops N         times that the page is dropped by all, 0 to 6\n"
"      --keep            kernel 0 reads the page before it is dropped\n"
"      --fences KIND     what keeps late messages out when it is dropped or a\n"
"                        kernel leaves: none: an epoch (default); once, twice:\n"
"                        fences from all to all; back: fences are answered\n"
"      --leaves N        kernels that leave\n"
"      --deaths N        kernels that die (never kernel 0)\n"
"      --forks N         times that kernel 0 calls the page in\n"
"      --joins N         times that the last kernel becomes a member\n"
"      --no-live         do not look for starvation\n"
"      --without N       check-seeded only: without rule N of enum pcn_seed\n"
"      --unseen          list cells of the table that no move has used\n"
"limits:\n"
"      --memory MIB      (default 4096)\n"
"      --time SECONDS    (default 600)\n"
"      --states N\n"
"\n"
"Exit status: 0 passed, 1 something is wrong, 2 usage, 3 incomplete.\n";

static const struct option options[] = {
	{ "protocol", 1, NULL, 'p' }, { "kernels", 1, NULL, 'n' },
	{ "any-order", 0, NULL, 'a' }, { "origin", 0, NULL, 'o' },
	{ "broadcast", 0, NULL, 'b' }, { "start", 1, NULL, 's' },
	{ "reads", 1, NULL, 'r' }, { "writes", 1, NULL, 'w' },
	{ "readers", 1, NULL, 'R' }, { "writers", 1, NULL, 'W' },
	{ "drops", 1, NULL, 'D' }, { "leaves", 1, NULL, 'L' },
	{ "keep", 0, NULL, 'k' }, { "fences", 1, NULL, 'f' },
	{ "deaths", 1, NULL, 'K' }, { "forks", 1, NULL, 'F' },
	{ "joins", 1, NULL, 'J' }, { "no-live", 0, NULL, 'l' },
	{ "without", 1, NULL, 'x' }, { "unseen", 0, NULL, 'u' },
	{ "memory", 1, NULL, 'm' }, { "time", 1, NULL, 't' },
	{ "states", 1, NULL, 'c' }, { "help", 0, NULL, 'h' }, { }
};

static void refuse(const char *what, const char *arg)
{
	fprintf(stderr, "check: %s: %s\n%s", what, arg, usage);
	exit(2);
}

static unsigned long number_in(const char *text, unsigned long max)
{
	char *end;
	unsigned long v = strtoul(text, &end, 0);

	if (!*text || *end || v > max)
		refuse("not a number in range", text);
	return v;
}

static unsigned int named(const char *name, const char *const *names)
{
	unsigned int i;

	for (i = 0; names[i]; i++)
		if (!strcmp(name, names[i]))
			return i;
	refuse("no such name", name);
	return 0;
}

static int explore_one(const struct config *c, const struct limits *l,
		       bool unseen)
{
	struct result r;

	search(c, l, stdout, &r);
	printf("%s%s%s: %llu states, %llu moves, depth %u, %.1f s, %llu MiB\n",
	       outcome_names[r.outcome], r.what ? ", " : "",
	       r.what ? r.what : "", (unsigned long long)r.states,
	       (unsigned long long)r.edges, r.depth, r.seconds,
	       (unsigned long long)r.bytes >> 20);
	if (r.deadlocked)
		printf("%llu states cannot come to rest\n",
		       (unsigned long long)r.deadlocked);
	if (unseen)
		print_unseen(c->proto->name);
	return r.outcome == PASSED ? 0 : r.outcome == INCOMPLETE ? 3 : 1;
}

static int run_command(int argc, char **argv, const struct limits *l)
{
	const char *arg = argc > 1 ? argv[1] : "";

	if (!strcmp(argv[0], "sound") && (!strcmp(arg, "quick") ||
					  !strcmp(arg, "deep") ||
					  !strcmp(arg, "beyond")))
		return suite_sound(arg, l);
	if (!strcmp(argv[0], "seeds"))
		return suite_seeds(l);
	if (!strcmp(argv[0], "flaws"))
		return suite_flaws(l, !strcmp(arg, "-v"));
	if (!strcmp(argv[0], "sim"))
		return simulate(argc, argv);
	if (!strcmp(argv[0], "hold"))
		return strcmp(arg, "seeds") ?
		       hold_suite(*arg ? number_in(arg, 1000000) ?: 1 : 3) : hold_seeds();
	if (!strcmp(argv[0], "mirror"))
		return strcmp(arg, "mistakes") ? mirror_sound(!strcmp(arg, "deep")) :
						  mirror_mistakes();
	if (!strcmp(argv[0], "count"))
		return count_messages();
	if (!strcmp(argv[0], "fuzz"))
		return fuzz();
	if (!strcmp(argv[0], "tables"))
		return print_tables();
	if (!strcmp(argv[0], "dot") && pcn_proto_find(arg))
		return print_dot(arg);
	refuse("no such command", argv[0]);
	return 2;
}

/* As the enums have them. */
static const char * const starts[] = { "U", "S", "join", "owned", NULL };
static const char * const fence_kinds[] = {
	"none", "once", "twice", "back", NULL
};

int main(int argc, char **argv)
{
	struct config c = { .proto = &pcn_proto_owner, .n = 3, .fifo = true,
		.reads = UNLIMITED, .writes = UNLIMITED, .readers = 0xff,
		.writers = 0xff, .live = true, .start = START_S };
	struct limits l = { .bytes = 4ULL << 30, .seconds = 600,
			    .states = 1U << 31 };
	bool unseen = false;
	int o;

	while ((o = getopt_long(argc, argv, "+n:h", options, NULL)) != -1)
		switch (o) {
		case 'p':
			c.proto = pcn_proto_find(optarg);
			if (!c.proto)
				refuse("no such protocol", optarg);
			break;
		case 'n':
			c.n = number_in(optarg, MODEL_KERNELS);
			break;
		case 'a':
			c.fifo = false;
			break;
		case 'o':
			c.origin = true;
			break;
		case 'b':
			c.broadcast = true;
			break;
		case 's':
			c.start = named(optarg, starts);
			c.origin |= c.start == START_OWNED;
			break;
		case 'r':
			c.reads = number_in(optarg, UNLIMITED - 1);
			break;
		case 'w':
			c.writes = number_in(optarg, UNLIMITED - 1);
			break;
		case 'R':
			c.readers = number_in(optarg, 0xff);
			break;
		case 'W':
			c.writers = number_in(optarg, 0xff);
			break;
		case 'D':
			c.drops = number_in(optarg, 6);
			break;
		case 'k':
			c.keep = true;
			break;
		case 'f':
			c.fences = named(optarg, fence_kinds);
			break;
		case 'L':
			c.leaves = number_in(optarg, 6);
			break;
		case 'K':
			c.deaths = number_in(optarg, 6);
			break;
		case 'F':
			c.forks = number_in(optarg, 6);
			break;
		case 'J':
			c.joins = number_in(optarg, 6);
			break;
		case 'l':
			c.live = false;
			break;
		case 'x':
			if (take_out_rule(number_in(optarg, 63)))
				refuse("no such rule here", optarg);
			break;
		case 'u':
			unseen = true;
			break;
		case 'm':
			l.bytes = (u64)number_in(optarg, 1 << 20) << 20;
			break;
		case 't':
			l.seconds = number_in(optarg, 1 << 30);
			break;
		case 'c':
			l.states = number_in(optarg, 1U << 31);
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fputs(usage, stderr);
			return 2;
		}
	if (optind < argc)
		return run_command(argc - optind, argv + optind, &l);
	if (c.n < 1)
		refuse("no kernels", "0");
	if (c.fences && !c.fifo)
		refuse("fences need FIFO", "--any-order");
	return explore_one(&c, &l, unseen);
}
