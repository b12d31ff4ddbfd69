/* SPDX-License-Identifier: GPL-2.0 */
/* What the platform code of a secondary asks of kernel/popcorn/secondary.c. */
#ifndef _KERNEL_POPCORN_SECONDARY_H
#define _KERNEL_POPCORN_SECONDARY_H

#include <popcorn/window.h>

void pcn_secondary_entered(void);
void pcn_secondary_map_window_early(void);
void pcn_secondary_map_window(void);
void pcn_secondary_ending(void);
void pcn_secondary_end(enum pcn_end end, const char *reason);
void pcn_secondary_parked(void);

#endif /* _KERNEL_POPCORN_SECONDARY_H */
