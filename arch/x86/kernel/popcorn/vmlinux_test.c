// SPDX-License-Identifier: GPL-2.0
/* KUnit tests of what unpacks a bzImage's payload and reads the ELF file in it. */
#include <kunit/test.h>
#include <linux/elf.h>
#include <linux/sizes.h>
#include <linux/unaligned.h>
#include <linux/vmalloc.h>

#include "arch.h"

#define START	SZ_16M			/* where the kernel was linked to run */
#define ROOM	SZ_4M
#define SECOND	(START + SZ_2M)		/* its second segment */

/* A small kernel: two segments, the second one larger in memory. */
struct elf_file {
	struct elf64_hdr	e;
	struct elf64_phdr	p[3];
	u8			text[64];
	u8			data[32];
};

static struct elf_file file;
static u8 packed[1024];

static void reset_file(void)
{
	file = (struct elf_file) {
		.e = {
			.e_ident	= { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB },
			.e_type		= ET_EXEC,
			.e_machine	= EM_X86_64,
			.e_entry	= START + 8,
			.e_phoff	= offsetof(struct elf_file, p),
			.e_phentsize	= sizeof(struct elf64_phdr),
			.e_phnum	= 3,
		},
		.p = {
			{
				.p_type		= PT_LOAD,
				.p_offset	= offsetof(struct elf_file, text),
				.p_paddr	= START,
				.p_filesz	= sizeof(file.text),
				.p_memsz	= sizeof(file.text),
			}, {
				.p_type		= PT_NOTE,
				.p_offset	= U64_MAX,
				.p_filesz	= U64_MAX,
			}, {
				.p_type		= PT_LOAD,
				.p_offset	= offsetof(struct elf_file, data),
				.p_paddr	= SECOND,
				.p_filesz	= sizeof(file.data),
				.p_memsz	= SZ_1M,
			},
		},
	};
	memset(file.text, 't', sizeof(file.text));
	memset(file.data, 'd', sizeof(file.data));
}

/* The file as `lz4 -l` would write it if nothing could be saved. */
static size_t pack(void)
{
	u8 *at = packed, *chunk;
	size_t left = sizeof(file) - 15;

	put_unaligned_le32(0x184c2102, at);
	chunk = at + 8;
	at = chunk;
	*at++ = 0xf0;		/* 15 literals and more, no match */
	for (; left >= 255; left -= 255)
		*at++ = 255;
	*at++ = left;
	memcpy(at, &file, sizeof(file));
	at += sizeof(file);
	put_unaligned_le32(at - chunk, chunk - 4);
	put_unaligned_le32(sizeof(file), at);
	return at + 4 - packed;
}

static int reset(struct kunit *test)
{
	BUILD_BUG_ON(sizeof(packed) < sizeof(file) + 32);
	reset_file();
	return 0;
}

/* --- ELF --- */

static const char *flatten(struct pcn_vmlinux *v)
{
	return pcn_elf_flatten(&file, sizeof(file), START, ROOM, v);
}

static void flattens(struct kunit *test)
{
	struct pcn_vmlinux v;

	KUNIT_ASSERT_NULL(test, flatten(&v));
	KUNIT_EXPECT_EQ(test, v.entry, 8);
	KUNIT_EXPECT_EQ(test, v.size, SZ_2M + sizeof(file.data));
	KUNIT_EXPECT_EQ(test, v.mem_size, SZ_2M + SZ_1M);
	KUNIT_EXPECT_MEMEQ(test, v.data, file.text, sizeof(file.text));
	KUNIT_EXPECT_NULL(test, memchr_inv(v.data + sizeof(file.text), 0,
					   SZ_2M - sizeof(file.text)));
	KUNIT_EXPECT_MEMEQ(test, v.data + SZ_2M, file.data, sizeof(file.data));
	vfree(v.data);
}

static void fills_all_room(struct kunit *test)
{
	struct pcn_vmlinux v;

	file.p[2].p_memsz = START + ROOM - SECOND;
	KUNIT_ASSERT_NULL(test, flatten(&v));
	KUNIT_EXPECT_EQ(test, v.mem_size, ROOM);
	vfree(v.data);
}

static void too_short(struct kunit *test)
{
	struct pcn_vmlinux v;
	size_t size;

	for (size = 0; size < sizeof(file); size++)
		KUNIT_EXPECT_NOT_NULL(test, pcn_elf_flatten(&file, size, START,
							    ROOM, &v));
}

static void too_large(struct kunit *test)
{
	struct pcn_vmlinux v;

	KUNIT_EXPECT_NOT_NULL(test, pcn_elf_flatten(&file, sizeof(file), START,
						    U32_MAX, &v));
	KUNIT_EXPECT_NOT_NULL(test, pcn_elf_flatten(&file, sizeof(file),
						    U64_MAX - SZ_1M, ROOM, &v));
}

/* Each wrong value, where it goes, and a piece of the message. */
#define FIELD(field) { offsetof(struct elf_file, field), sizeof_field(struct elf_file, field) }

static const struct wrong {
	const char	*name;
	struct {
		size_t	offset, size;
	}		field;
	u64		value;
	const char	*fault;
} wrong[] = {
	{ "magic", FIELD(e.e_ident[0]), 0, "no ELF file" },
	{ "class", FIELD(e.e_ident[EI_CLASS]), ELFCLASS32, "another machine" },
	{ "endian", FIELD(e.e_ident[EI_DATA]), ELFDATA2MSB, "another machine" },
	{ "machine", FIELD(e.e_machine), EM_AARCH64, "another machine" },
	{ "object", FIELD(e.e_type), ET_REL, "not executable" },
	{ "shared", FIELD(e.e_type), ET_DYN, "not executable" },
	{ "phentsize", FIELD(e.e_phentsize), 32, "headers out of range" },
	{ "no phdr", FIELD(e.e_phnum), 0, "headers out of range" },
	{ "phnum", FIELD(e.e_phnum), 0xffff, "headers out of range" },
	{ "phoff", FIELD(e.e_phoff), sizeof(file) + 8, "headers out of range" },
	{ "phoff end", FIELD(e.e_phoff), sizeof(file) - 8, "headers out of range" },
	{ "phoff max", FIELD(e.e_phoff), U64_MAX - 7, "headers out of range" },
	{ "phoff odd", FIELD(e.e_phoff), 65, "headers out of range" },
	{ "offset", FIELD(p[2].p_offset), sizeof(file) + 1, "end of the file" },
	{ "offset max", FIELD(p[2].p_offset), U64_MAX, "end of the file" },
	{ "filesz", FIELD(p[0].p_filesz), sizeof(file), "end of the file" },
	{ "filesz max", FIELD(p[2].p_filesz), U64_MAX, "end of the file" },
	{ "memsz small", FIELD(p[0].p_memsz), 63, "larger than its memory" },
	{ "memsz", FIELD(p[2].p_memsz), ROOM, "end of the kernel" },
	{ "memsz max", FIELD(p[2].p_memsz), U64_MAX, "end of the kernel" },
	{ "too high", FIELD(p[2].p_paddr), START + ROOM + 1, "end of the kernel" },
	{ "paddr max", FIELD(p[2].p_paddr), U64_MAX, "end of the kernel" },
	{ "overlap", FIELD(p[2].p_paddr), START + 63, "overlap" },
	{ "order", FIELD(p[2].p_paddr), 0, "overlap" },
	{ "first", FIELD(p[0].p_paddr), START - SZ_2M, "preferred address" },
	{ "first gone", FIELD(p[0].p_type), PT_NULL, "preferred address" },
	{ "entry low", FIELD(e.e_entry), START - 1, "entry point" },
	{ "entry high", FIELD(e.e_entry), SECOND + 32, "entry point" },
	{ "entry max", FIELD(e.e_entry), U64_MAX, "entry point" },
};

static void wrong_to_text(const struct wrong *w, char *text)
{
	strscpy(text, w->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(wrong, wrong, wrong_to_text);

static void refuses(struct kunit *test)
{
	const struct wrong *w = test->param_value;
	struct pcn_vmlinux v;
	const char *fault;

	memcpy((void *)&file + w->field.offset, &w->value, w->field.size);
	fault = flatten(&v);
	KUNIT_ASSERT_NOT_NULL(test, fault);
	KUNIT_EXPECT_TRUE_MSG(test, strstr(fault, w->fault), "%s", fault);
}

static void no_segment(struct kunit *test)
{
	struct pcn_vmlinux v;

	file.p[0].p_type = PT_NULL;
	file.p[2].p_type = PT_NULL;
	KUNIT_EXPECT_NOT_NULL(test, flatten(&v));
}

/* --- payload --- */

static const char *unpack(size_t size, u64 room)
{
	size_t elf_size;
	void *elf = NULL;
	const char *fault;

	fault = pcn_payload_unpack(packed, size, room, &elf, &elf_size);
	if (!fault)
		vfree(elf);
	return fault;
}

static void expect_fault(struct kunit *test, const char *fault, const char *part)
{
	KUNIT_ASSERT_NOT_NULL(test, fault);
	KUNIT_EXPECT_TRUE_MSG(test, strstr(fault, part), "%s", fault);
}

static void skip_without_lz4(struct kunit *test)
{
	if (!IS_BUILTIN(CONFIG_LZ4_DECOMPRESS))
		kunit_skip(test, "LZ4 is not there");
}

static void unpacks(struct kunit *test)
{
	size_t size = pack(), elf_size;
	void *elf;

	skip_without_lz4(test);
	KUNIT_ASSERT_NULL(test, pcn_payload_unpack(packed, size, sizeof(file),
						   &elf, &elf_size));
	KUNIT_EXPECT_EQ(test, elf_size, sizeof(file));
	KUNIT_EXPECT_MEMEQ(test, elf, &file, sizeof(file));
	vfree(elf);
}

static void wrong_method(struct kunit *test)
{
	size_t size = pack();

	packed[0] ^= 1;
	expect_fault(test, unpack(size, ROOM), "not supported");
}

static void wrong_size(struct kunit *test)
{
	size_t size = pack();

	skip_without_lz4(test);
	expect_fault(test, unpack(size, sizeof(file) - 1), "out of range");
	put_unaligned_le32(0, packed + size - 4);
	expect_fault(test, unpack(size, ROOM), "out of range");
	put_unaligned_le32(U32_MAX, packed + size - 4);
	expect_fault(test, unpack(size, ROOM), "out of range");
	put_unaligned_le32(sizeof(file) + 1, packed + size - 4);
	expect_fault(test, unpack(size, ROOM), "damaged");
	put_unaligned_le32(sizeof(file) - 1, packed + size - 4);
	expect_fault(test, unpack(size, ROOM), "damaged");
}

/* Cut anywhere: its last four bytes are some size, never the right one. */
static void truncated(struct kunit *test)
{
	size_t size = pack(), cut;

	for (cut = 0; cut < size; cut++)
		KUNIT_EXPECT_NOT_NULL(test, unpack(cut, ROOM));
}

static void wrong_chunk(struct kunit *test)
{
	static const u32 sizes[] = { 0, 1, 100, SZ_1K, SZ_16M, S32_MAX,
				     (u32)S32_MAX + 1, U32_MAX };
	size_t size = pack(), i;

	skip_without_lz4(test);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		put_unaligned_le32(sizes[i], packed + 4);
		expect_fault(test, unpack(size, ROOM), "damaged");
	}
}

/* Of the other methods, that garbage after the magic does no harm. */
static void garbage(struct kunit *test)
{
	static const u8 magic[][4] = {
		{ 0x02, 0x21, 0x4c, 0x18 }, { 0x1f, 0x8b, 0x08, 0x00 },
		{ 0x28, 0xb5, 0x2f, 0xfd }, { 0xfd, '7', 'z', 'X' },
	};
	size_t i, byte;

	for (i = 0; i < ARRAY_SIZE(magic); i++) {
		for (byte = 0; byte < 256; byte++) {
			memset(packed, byte, sizeof(packed));
			memcpy(packed, magic[i], sizeof(magic[i]));
			put_unaligned_le32(SZ_4K, packed + sizeof(packed) - 4);
			KUNIT_EXPECT_NOT_NULL(test, unpack(sizeof(packed), ROOM));
		}
	}
}

static struct kunit_case cases[] = {
	KUNIT_CASE(flattens),
	KUNIT_CASE(fills_all_room),
	KUNIT_CASE(too_short),
	KUNIT_CASE(too_large),
	KUNIT_CASE_PARAM(refuses, wrong_gen_params),
	KUNIT_CASE(no_segment),
	KUNIT_CASE(unpacks),
	KUNIT_CASE(wrong_method),
	KUNIT_CASE(wrong_size),
	KUNIT_CASE(truncated),
	KUNIT_CASE(wrong_chunk),
	KUNIT_CASE(garbage),
	{ }
};

static struct kunit_suite suite = {
	.name		= "popcorn_vmlinux",
	.init		= reset,
	.test_cases	= cases,
};
kunit_test_suite(suite);

MODULE_LICENSE("GPL");
