// SPDX-License-Identifier: GPL-2.0
#include <stdarg.h>
#include <stdio.h>

#include "check.h"

static unsigned int count, failed;

void tap(bool right, const char *format, ...)
{
	va_list args;

	printf("%sok %u - ", right ? "" : "not ", ++count);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
	failed += !right;
}

int tap_end(void)
{
	printf("1..%u\n", count);
	return failed > 0;
}
