/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _CHECK_PAPER_H
#define _CHECK_PAPER_H

/*
 * How the published text is read where it leaves room, and what one might add
 * to mend it.
 */
enum {
	PAPER_FT_INDEX	= 1 << 0,	/* concurrent first touch: index decides */
	PAPER_FT_BEFORE	= 1 << 1,	/* what happened before, then index */
	PAPER_FT_TIME	= 1 << 2,	/* Lamport time, then index */
	PAPER_NEWEST	= 1 << 3,	/* of several copies take the newest */
	PAPER_RETRY	= 1 << 4,	/* all void: ask again */
	PAPER_FLOOR	= 1 << 5,	/* take no copy older than an Ack sent */
	PAPER_ROUNDS	= 1 << 6,	/* 4.7: fetch when all rivals are known */
	PAPER_ROUNDS_2	= 1 << 7,	/* 4.7: write when all rivals came again */
	PAPER_WINNER	= 1 << 8,	/* 4.7: the winner waits for the losers */
	PAPER_MULTICAST	= 1 << 9,	/* 5.2: to the copyset only */
	PAPER_HINT	= 1 << 10,	/* 5.2: ask the owner hint first */
	PAPER_JOIN_NOW	= 1 << 11,	/* 4.8: a writer answers who joins at once */
	PAPER_LATE_STAMP = 1 << 12,	/* stamp when the Invalid is sent */
	PAPER_FW_VOID	= 1 << 13,	/* a writer says no to a Fetch_Write */
};

/* Which reading the model runs: &config.paper of the search under way. */
extern unsigned int paper_variant;

#endif
