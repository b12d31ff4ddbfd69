/* SPDX-License-Identifier: GPL-2.0 */
/*
 * F1 to F10 (F9 is not the published protocol's alone, see suite.c): a reading of
 * the published protocol, where it starts from, and how the flaw shows. @steps is the number of moves to it, 0 if that depends on how
 * moves are counted. F3, F5 and F7 take one step less than in the first report of
 * them, where a kernel in I read before it wrote.
 */
#define PAPER	(&pcn_proto_paper)
#define READ1	.reads = 1, .writes = 0, .readers = 0xff, .writers = 0xff
#define WRITE1	.reads = 0, .writes = 1, .readers = 0xff, .writers = 0xff
#define LITERAL	(PAPER_FT_TIME | PAPER_ROUNDS | PAPER_WINNER)

static const struct flaw flaws[] = {
	{ "F1, two fetch at once, both NR", UNSAFE, "S4", 6,
	  { PAPER, 2, true, READ1, .start = START_U } },
	{ "F1b, the same with an index tie-break", UNSAFE, "S4", 10,
	  { PAPER, 3, true, READ1, .start = START_U,
	    .paper = PAPER_FT_INDEX } },
	{ "F1c, happened before plus index: a cycle", DEADLOCK, "D", 0,
	  { PAPER, 3, true, READ1, .start = START_U,
	    .paper = PAPER_FT_BEFORE } },
	{ "F2, the last of two copies is old", UNSAFE, "S2", 10,
	  { PAPER, 3, true, ONE, .start = START_S, .paper = LITERAL } },
	{ "F2m, the same for one who joins", UNSAFE, "S2", 0,
	  { PAPER, 3, true, ONE, .start = START_JOIN,
	    .paper = LITERAL | PAPER_MULTICAST } },
	{ "F3, everyone says Copy_Void", UNSAFE, "S5", 16,
	  { PAPER, 3, true, ONE, .start = START_S,
	    .paper = LITERAL | PAPER_NEWEST } },
	{ "F4, NR beside a writer", UNSAFE, "S4", 16,
	  { PAPER, 3, true, ONE, .start = START_JOIN,
	    .paper = LITERAL | PAPER_NEWEST | PAPER_RETRY } },
	{ "F5, old though the newest copy is taken", UNSAFE, "S2", 16,
	  { PAPER, 3, true, ONE, .start = START_S,
	    .paper = LITERAL | PAPER_NEWEST | PAPER_RETRY } },
	{ "F6a, rounds: the loser waits for a rival that is done", DEADLOCK,
	  "D", 0,
	  { PAPER, 2, true, WRITE1, .start = START_S,
	    .paper = LITERAL | PAPER_ROUNDS_2 } },
	{ "F6b, rounds: the waiting forms a cycle", DEADLOCK, "D", 0,
	  { PAPER, 3, true, ONE, .start = START_S,
	    .paper = LITERAL | PAPER_NEWEST | PAPER_RETRY | PAPER_FLOOR } },
	{ "F6c, the same, a writer does not defer a Fetch_Write", DEADLOCK,
	  "D", 0,
	  { PAPER, 3, true, ONE, .start = START_S,
	    .paper = LITERAL | PAPER_NEWEST | PAPER_RETRY | PAPER_FLOOR |
		     PAPER_FW_VOID } },
	{ "F6d, rounds with multicast and owner hint", DEADLOCK, "D", 0,
	  { PAPER, 3, true, ONE, .start = START_S,
	    .paper = LITERAL | PAPER_MULTICAST | PAPER_HINT |
		     PAPER_RETRY | PAPER_FLOOR } },
	{ "F7, without rounds a writer that said Ack goes on", UNSAFE, "S1", 13,
	  { PAPER, 3, true, ONE, .start = START_S,
	    .paper = PAPER_FT_TIME | PAPER_NEWEST | PAPER_RETRY |
		     PAPER_FLOOR } },
	{ "F7b, neither rounds nor a floor: the last copy is old", UNSAFE,
	  "S2", 10,
	  { PAPER, 3, true, ONE, .start = START_S, .paper = PAPER_FT_TIME } },
	{ "F8, a write without a stamp may wait for ever", STARVES, "L", 0,
	  { PAPER, 2, true, ALL, .start = START_S, .live = true,
	    .paper = LITERAL | PAPER_LATE_STAMP } },
	{ "F10, a joiner is answered while a write is under way", UNSAFE, "S",
	  8,
	  { PAPER, 3, true, ONE, .start = START_JOIN,
	    .paper = PAPER_FT_TIME | PAPER_NEWEST | PAPER_RETRY |
		     PAPER_FLOOR | PAPER_MULTICAST | PAPER_JOIN_NOW } },
	{ "F10b, Copy_Void tells a joiner too little", UNSAFE, "S4", 12,
	  { PAPER, 3, true, ONE, .start = START_JOIN,
	    .paper = LITERAL | PAPER_NEWEST | PAPER_RETRY |
		     PAPER_FLOOR | PAPER_MULTICAST } },
};
