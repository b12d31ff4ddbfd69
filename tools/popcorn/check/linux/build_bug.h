/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _CHECK_LINUX_BUILD_BUG_H
#define _CHECK_LINUX_BUILD_BUG_H

#include <assert.h>

#endif
