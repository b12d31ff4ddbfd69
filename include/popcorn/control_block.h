/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A secondary's side of its control block (kernel/popcorn/machine/control_block.c), for the platform
 * that it runs on.
 */
#ifndef _POPCORN_CONTROL_BLOCK_H
#define _POPCORN_CONTROL_BLOCK_H

#include <popcorn/window.h>

void pcn_secondary_entered(void);
void pcn_secondary_map_window_early(void);
void pcn_secondary_map_window(void);
void pcn_secondary_ending(void);
void pcn_secondary_end(enum pcn_end end, const char *reason);
void pcn_secondary_parked(void);

#endif /* _POPCORN_CONTROL_BLOCK_H */
