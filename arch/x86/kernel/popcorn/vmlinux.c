// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel inside of a bzImage.
 *
 * A bzImage is a program that unpacks a kernel and enters it: the payload of
 * its header (boot.rst, "payload_offset") is a compressed ELF file. Here the
 * same is done once, when the image is loaded, so that a start only has to
 * copy. What comes out is flat: the kernel as it lies in memory, from its
 * lowest address to the end of what is not zero.
 *
 * It is entered where the unpacking program would enter it, at the ELF file's
 * entry point, with the same in RSI. It need not be relocated: it runs at its
 * virtual addresses, since there is no KASLR in a secondary, and finds out by
 * itself where it is in physical memory. What that program does besides does
 * not concern a secondary: five-level paging is as the kernel needs it
 * already, and no firmware table is looked for.
 *
 * It costs the unpacked size in the primary's memory, once for all kernels that
 * have loaded the same file.
 *
 * The image has passed the checks of kexec_file_load(2), but nothing in it is
 * relied upon. An image that cannot be unpacked here is entered as it is, and
 * unpacks itself at each start.
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/align.h>
#include <linux/elf.h>
#include <linux/errno.h>
#include <linux/lz4.h>
#include <linux/printk.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/unaligned.h>
#include <linux/vmalloc.h>
#include <linux/xz.h>
#include <linux/zlib.h>
#include <linux/zstd.h>

#include <asm/bootparam.h>
#include <asm/pgtable.h>
#include <asm/popcorn.h>

#include <popcorn/kernel.h>

#include "arch.h"

/* The format of `lz4 -l`: this, then chunks of these many bytes, unpacked. */
#define LZ4_LEGACY_MAGIC	0x184c2102
#define LZ4_LEGACY_CHUNK	SZ_8M

/* Header of a gzip file without file name and comment. */
#define GZIP_HEADER		10

/* The kernel's makefiles append the unpacked size; gzip ends with it anyway. */
#define SIZE_WORD		sizeof(__le32)

/* No kernel is larger than what its page tables map: KERNEL_IMAGE_SIZE. */
#define UNPACKED_MAX		SZ_1G

/* An unpacker fills @to, whose size is known, and says if that has worked. */
typedef bool (*unpack_fn)(const u8 *from, size_t size, u8 *to, size_t room);

/* LZ4 counts in int: a chunk is never larger. */
static bool unpack_lz4(const u8 *from, size_t size, u8 *to, size_t room)
{
	const u8 *end = from + size - SIZE_WORD;
	int got;

	while (end - from > sizeof(__le32)) {
		u32 chunk = get_unaligned_le32(from);

		from += sizeof(__le32);
		if (chunk == LZ4_LEGACY_MAGIC)
			continue;
		if (chunk > end - from || chunk > LZ4_COMPRESSBOUND(LZ4_LEGACY_CHUNK))
			return false;
		got = LZ4_decompress_safe(from, to, chunk,
					  min_t(size_t, room, LZ4_LEGACY_CHUNK));
		if (got < 0)
			return false;
		from += chunk;
		to += got;
		room -= got;
		cond_resched();
	}
	return from == end && !room;
}

static bool unpack_gzip(const u8 *from, size_t size, u8 *to, size_t room)
{
	/* Deflate, no flags: nothing follows the fixed part of the header. */
	if (size < GZIP_HEADER || from[2] != 8 || from[3])
		return false;
	return zlib_inflate_blob(to, room, from + GZIP_HEADER,
				 size - GZIP_HEADER) == room;
}

static bool unpack_zstd(const u8 *from, size_t size, u8 *to, size_t room)
{
	size_t work_size = zstd_dctx_workspace_bound();
	void *work = vmalloc(work_size);
	zstd_dctx *zstd = work ? zstd_init_dctx(work, work_size) : NULL;
	size_t got = 0;

	if (zstd)
		got = zstd_decompress_dctx(zstd, to, room, from, size - SIZE_WORD);
	vfree(work);
	return got == room;
}

static bool unpack_xz(const u8 *from, size_t size, u8 *to, size_t room)
{
	struct xz_dec *xz = xz_dec_init(XZ_SINGLE, 0);
	struct xz_buf buf = {
		.in		= from,
		.in_size	= size - SIZE_WORD,
		.out		= to,
		.out_size	= room,
	};
	enum xz_ret ret;

	if (!xz)
		return false;
	ret = xz_dec_run(xz, &buf);
	xz_dec_end(xz);
	return ret == XZ_STREAM_END && buf.out_pos == room;
}

/*
 * decompress_method() is no choice: it is gone after the boot. Kconfig selects
 * the method by which this kernel is compressed itself; others are there if
 * something else needs them.
 */
static const struct method {
	u8		magic[4];
	unpack_fn	unpack;
} methods[] = {
	{ { 0x02, 0x21, 0x4c, 0x18 },
	  IS_BUILTIN(CONFIG_LZ4_DECOMPRESS) ? unpack_lz4 : NULL },
	{ { 0x1f, 0x8b, 0x08, 0x00 },
	  IS_BUILTIN(CONFIG_ZLIB_INFLATE) ? unpack_gzip : NULL },
	{ { 0x28, 0xb5, 0x2f, 0xfd },
	  IS_BUILTIN(CONFIG_ZSTD_DECOMPRESS) ? unpack_zstd : NULL },
	{ { 0xfd, '7', 'z', 'X' },
	  IS_BUILTIN(CONFIG_XZ_DEC) ? unpack_xz : NULL },
};

static unpack_fn find_unpacker(const u8 *payload)
{
	const struct method *m;

	for (m = methods; m < methods + ARRAY_SIZE(methods); m++)
		if (!memcmp(payload, m->magic, sizeof(m->magic)))
			return m->unpack;
	return NULL;
}

/*
 * Memory in which to put what comes out of a file. How much is what the file
 * says: no reason to complain, or to kill anything for it.
 */
static void *alloc_unpacked(size_t size)
{
	return __vmalloc(size, GFP_KERNEL | __GFP_NOWARN | __GFP_RETRY_MAYFAIL);
}

/**
 * pcn_payload_unpack - unpack the payload of a bzImage
 * @payload:	the payload
 * @size:	bytes
 * @room:	the most that may come out
 * @elf:	receives what has come out, for vfree()
 * @elf_size:	receives its size
 *
 * Context: process.
 * Return: NULL, or why it cannot be unpacked.
 */
const char *pcn_payload_unpack(const u8 *payload, size_t size, u64 room,
			       void **elf, size_t *elf_size)
{
	unpack_fn unpack;

	if (size < GZIP_HEADER + SIZE_WORD)
		return "no payload";
	unpack = find_unpacker(payload);
	if (!unpack)
		return "method of compression not supported";
	*elf_size = get_unaligned_le32(payload + size - SIZE_WORD);
	if (!*elf_size || *elf_size > room)
		return "unpacked size out of range";
	*elf = alloc_unpacked(*elf_size);
	if (!*elf)
		return "not enough memory to unpack it";
	if (unpack(payload, size, *elf, *elf_size))
		return NULL;
	vfree(*elf);
	return "payload damaged";
}

static const char *elf_header_fault(const struct elf64_hdr *e, size_t size)
{
	if (size < sizeof(*e) || memcmp(e->e_ident, ELFMAG, SELFMAG))
		return "no ELF file";
	if (e->e_ident[EI_CLASS] != ELFCLASS64 ||
	    e->e_ident[EI_DATA] != ELFDATA2LSB || e->e_machine != EM_X86_64)
		return "ELF file of another machine";
	if (e->e_type != ET_EXEC)
		return "ELF file not executable";
	if (e->e_phentsize != sizeof(struct elf64_phdr) || !e->e_phnum ||
	    e->e_phoff > size || !IS_ALIGNED(e->e_phoff, sizeof(u64)) ||
	    e->e_phnum * sizeof(struct elf64_phdr) > size - e->e_phoff)
		return "ELF program headers out of range";
	return NULL;
}

/*
 * What is wrong with the segment @p of a file of @size bytes that may take up
 * the memory from @from, where the one before it ends, to @end.
 */
static const char *segment_fault(const struct elf64_phdr *p, size_t size,
				 u64 from, u64 end)
{
	if (p->p_offset > size || p->p_filesz > size - p->p_offset)
		return "ELF segment beyond the end of the file";
	if (p->p_filesz > p->p_memsz)
		return "ELF segment larger than its memory";
	if (p->p_paddr < from)
		return "ELF segments overlap or are out of order";
	if (p->p_paddr > end || p->p_memsz > end - p->p_paddr)
		return "ELF segment beyond the end of the kernel";
	return NULL;
}

/* Check all segments, and find out what they need: @v->size, @v->mem_size. */
static const char *elf_measure(const struct elf64_hdr *e, size_t size, u64 start,
			       u64 room, struct pcn_vmlinux *v)
{
	const struct elf64_phdr *p = (const void *)e + e->e_phoff;
	const struct elf64_phdr *past = p + e->e_phnum;
	const char *fault;

	*v = (struct pcn_vmlinux) { };
	for (; p < past; p++) {
		if (p->p_type != PT_LOAD)
			continue;
		if (!v->mem_size && p->p_paddr != start)
			return "ELF segments not at the preferred address";
		fault = segment_fault(p, size, start + v->mem_size, start + room);
		if (fault)
			return fault;
		v->mem_size = p->p_paddr - start + p->p_memsz;
		if (p->p_filesz)
			v->size = p->p_paddr - start + p->p_filesz;
	}
	v->entry = e->e_entry - start;
	if (e->e_entry < start || v->entry >= v->size)
		return "ELF entry point outside of the kernel";
	return NULL;
}

/* The segments have been checked. */
static void copy_segments(const struct elf64_hdr *e, u64 start, void *to)
{
	const struct elf64_phdr *p = (const void *)e + e->e_phoff;
	const struct elf64_phdr *past = p + e->e_phnum;

	for (; p < past; p++, cond_resched())
		if (p->p_type == PT_LOAD)
			memcpy(to + (p->p_paddr - start),
			       (const void *)e + p->p_offset, p->p_filesz);
}

/**
 * pcn_elf_flatten - lay out a kernel as it is to lie in memory
 * @elf:	an ELF file
 * @size:	bytes
 * @start:	physical address that it was linked for
 * @room:	bytes of memory that it may take up
 * @v:		receives the kernel, whose data is for vfree(); undefined on failure
 *
 * Context: process.
 * Return: NULL, or what is wrong with it.
 */
const char *pcn_elf_flatten(const void *elf, size_t size, u64 start, u64 room,
			    struct pcn_vmlinux *v)
{
	const char *fault;

	if (room > UNPACKED_MAX || start > U64_MAX - room)
		return "kernel too large";
	fault = elf_header_fault(elf, size);
	if (!fault)
		fault = elf_measure(elf, size, start, room, v);
	if (fault)
		return fault;
	v->data = alloc_unpacked(v->size);
	if (!v->data)
		return "not enough memory to lay it out";
	memset(v->data, 0, v->size);
	copy_segments(elf, start, v->data);
	return NULL;
}

/* What speaks against unpacking a bzImage, from its header. */
static const char *bzimage_fault(const struct setup_header *hdr, u64 size)
{
	if (hdr->version < 0x0208)
		return "boot protocol without payload";
	if (hdr->payload_offset > size ||
	    hdr->payload_length > size - hdr->payload_offset)
		return "payload out of range";
	if (!IS_ALIGNED(hdr->pref_address, PMD_SIZE) ||
	    !IS_ALIGNED(hdr->kernel_alignment, PMD_SIZE))
		return "kernel not aligned to 2 MiB";
	return NULL;
}

static const char *unpack(const struct pcn_blob *kernel, struct pcn_vmlinux *v)
{
	const struct setup_header *hdr = pcn_header_of(kernel);
	const u8 *code = kernel->data + pcn_setup_size(hdr);
	const char *fault;
	size_t size;
	void *elf;

	fault = bzimage_fault(hdr, kernel->size - pcn_setup_size(hdr));
	if (!fault)
		fault = pcn_payload_unpack(code + hdr->payload_offset,
					   hdr->payload_length, hdr->init_size,
					   &elf, &size);
	if (fault)
		return fault;
	fault = pcn_elf_flatten(elf, size, hdr->pref_address, hdr->init_size, v);
	vfree(elf);
	return fault;
}

/**
 * pcn_arch_unpack - make ready what every start of a kernel would do again
 * @kernel:	a bzImage that pcn_arch_check_image() has accepted
 *
 * Without success, of which the log tells, the image is as good as before.
 *
 * Context: process, kexec lock held: one at a time.
 */
void pcn_arch_unpack(struct pcn_blob *kernel)
{
	struct pcn_vmlinux v;
	const char *fault;

	if (kernel->vmlinux)
		return;
	fault = unpack(kernel, &v);
	if (!fault)
		kernel->vmlinux = kmemdup(&v, sizeof(v), GFP_KERNEL);
	if (fault)
		pr_info("an image is not unpacked in advance, it will unpack itself at each start: %s\n",
			fault);
	else if (!kernel->vmlinux)
		vfree(v.data);
}

/**
 * pcn_arch_forget - free what pcn_arch_unpack() has made
 * @kernel:	the bzImage, which is not used any more
 *
 * Context: process.
 */
void pcn_arch_forget(struct pcn_blob *kernel)
{
	if (kernel->vmlinux)
		vfree(kernel->vmlinux->data);
	kfree(kernel->vmlinux);
}
