/* SPDX-License-Identifier: GPL-2.0 */
/* Arguments are evaluated twice here. */
#ifndef _CHECK_LINUX_MINMAX_H
#define _CHECK_LINUX_MINMAX_H

#define min(a, b)		((a) < (b) ? (a) : (b))
#define max(a, b)		((a) > (b) ? (a) : (b))
#define min_t(type, a, b)	min((type)(a), (type)(b))

#endif
