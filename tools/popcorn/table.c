// SPDX-License-Identifier: GPL-2.0
/*
 * popcorn - tables on the terminal, and strings in JSON
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "popcorn.h"

/*
 * How many characters a text takes on the screen, if it is UTF-8. Returns
 * their number.
 */
static int width(const char *text)
{
	int n = 0;

	for (; *text; text++)
		if ((*text & 0xc0) != 0x80)
			n++;
	return n;
}

/* Print one entry of a table; there is no padding at the end of a line. */
static void print_cell(const char *text, int pad, bool right, bool last)
{
	printf("%*s%s%*s", right ? pad : 0, "", text, right || last ? 0 : pad, "");
	fputs(last ? "\n" : "  ", stdout);
}

/* The width of a column. */
static int column_width(const struct pcn_table *t, size_t column)
{
	int max = width(t->columns[column].heading);
	size_t i;

	for (i = column; i < t->count; i += t->width)
		if (max < width(t->cells[i]))
			max = width(t->cells[i]);
	return max;
}

/**
 * pcn_table_add() - add the next entry, row by row
 * @table:	the table
 * @text:	the entry; it is copied
 */
void pcn_table_add(struct pcn_table *table, const char *text)
{
	size_t size = strlen(text) + 1;
	char *cell = memcpy(pcn_grow(NULL, size), text, size);

	table->cells = pcn_grow(table->cells,
				(table->count + 1) * sizeof(*table->cells));
	table->cells[table->count++] = cell;
}

/**
 * pcn_table_print() - print a table, and forget its entries
 * @table:	the table; its last row is complete
 */
void pcn_table_print(struct pcn_table *table)
{
	size_t i, column, w = table->width;
	int *widths = pcn_grow(NULL, w * sizeof(*widths));

	for (i = 0; i < w; i++)
		widths[i] = column_width(table, i);
	for (i = 0; i < w + table->count; i++) {
		const char *text = i < w ? table->columns[i].heading : table->cells[i - w];

		column = i % w;
		print_cell(text, widths[column] - width(text),
			   table->columns[column].right, column == w - 1);
	}
	for (i = 0; i < table->count; i++)
		free(table->cells[i]);
	free(table->cells);
	free(widths);
	table->cells = NULL;
	table->count = 0;
}

/*
 * How many bytes the UTF-8 character at the start of a text has. Returns 0 if
 * it is not valid UTF-8 (too short, overlong, a surrogate, too large).
 */
static int utf8_len(const unsigned char *p)
{
	uint32_t c = *p, least;
	int len, i;

	if (c < 0x80)
		return 1;
	if (c < 0xc2 || c > 0xf4)
		return 0;
	len = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	least = len == 2 ? 0x80 : len == 3 ? 0x800 : 0x10000;
	c &= 0x7f >> len;
	for (i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	return c < least || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : len;
}

/**
 * pcn_json_string() - print a JSON string
 * @text:	the string; what is not UTF-8 becomes the replacement character
 */
void pcn_json_string(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	int len;

	putchar('"');
	for (; *p; p += len ? len : 1) {
		len = utf8_len(p);
		if (!len)
			fputs("\\ufffd", stdout);
		else if (*p == '"' || *p == '\\')
			printf("\\%c", *p);
		else if (*p < 0x20 || *p == 0x7f)
			printf("\\u%04x", *p);
		else
			fwrite(p, 1, len, stdout);
	}
	putchar('"');
}
