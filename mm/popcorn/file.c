// SPDX-License-Identifier: GPL-2.0
/*
 * Files that are on several kernels.
 *
 * A part of a file that a process may read, or execute, and has not changed need not
 * be fetched page by page: a member that has the same file maps it. That it is the
 * same is shown by its content, not by its path, which means nothing under chroot(2)
 * or in another mount namespace, and is just where a member looks. fs-verity knows a
 * digest of the content without reading it, on ext4, f2fs and btrfs, and sees to it
 * that the file does not change (Documentation/filesystems/fsverity.rst).
 *
 * Such pages are outside of the protocol, so nobody may change them. The program
 * cannot: for mprotect(2) and all other calls that change what there is at an address
 * the members forget it (change.c). A task that may write the process's memory all the
 * same, such as a debugger that sets a breakpoint, first has the members forget
 * all files before (pcn_remote_access()); afterwards they fetch the pages. A member
 * maps the file shared, opened for reading, which allows nobody there to write.
 *
 * The vDSO is such a file, which every kernel has, and its data are another one, with
 * what is different on each. They have no pages to fetch: where a member has none of its
 * own the thread goes home (arch/x86/kernel/popcorn/vdso.c).
 */
#include <linux/build_bug.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/fsverity.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/pagewalk.h>
#include <linux/pkeys.h>
#include <linux/security.h>
#include <linux/string.h>

#include <popcorn/hooks.h>
#include <popcorn/stats.h>

#include "internal.h"

static_assert(sizeof_field(struct pcn_digest, value) == FS_VERITY_MAX_DIGEST_SIZE);
static_assert(offsetof(struct pcn_file, path) == 80);

#define FORCE_WRITE	(FOLL_FORCE | FOLL_WRITE)

static struct pcn_digest file_digest(const struct file *file)
{
	struct pcn_digest d = {};

	d.size = fsverity_get_digest(file_inode(file), d.value, &d.algorithm, NULL);
	return d;
}

/* --- at the origin --- */

/* Nonzero: the page is not the file's. */
static int look_at_pte(pte_t *pte, unsigned long address, unsigned long next,
		       struct mm_walk *walk)
{
	pte_t entry = ptep_get(pte);
	struct page *page;

	if (pte_none(entry))
		return 0;
	page = pte_present(entry) ? vm_normal_page(walk->vma, address, entry) :
				    NULL;
	return !page || PageAnon(page);
}

static const struct mm_walk_ops look_ops = {
	.pte_entry	= look_at_pte,
	.walk_lock	= PGWALK_RDLOCK,
};

/* A debugger may have written it, or the program while it was allowed to. */
static bool is_changed(struct vm_area_struct *vma)
{
	return vma->anon_vma &&
	       walk_page_range(vma->vm_mm, vma->vm_start, vma->vm_end, &look_ops,
			       NULL);
}

static bool may_be_elsewhere(struct vm_area_struct *vma)
{
	return vma->vm_file && (vma->vm_flags & (VM_READ | VM_WRITE)) == VM_READ &&
	       !vma_pkey(vma);
}

/* Either this sees that files are forbidden, or pcn_files_forbid() that there are. */
static bool may_give(struct pcn_space *s)
{
	if (READ_ONCE(s->files_forbidden))
		return false;
	WRITE_ONCE(s->files_given, true);
	/* Pairs with the one in pcn_files_forbid(). */
	smp_mb();
	return !READ_ONCE(s->files_forbidden);
}

/**
 * pcn_files_forbid - members must not map files of their own from now on
 * @s:	the space, at the origin
 *
 * Context: any.
 * Return: true: some may have; pcn_change_recall() is for that.
 */
bool pcn_files_forbid(struct pcn_space *s)
{
	WRITE_ONCE(s->files_forbidden, true);
	/* Pairs with the one in may_give(). */
	smp_mb();
	return READ_ONCE(s->files_given);
}

/**
 * pcn_file_part - which part of the vDSO is a VMA, if members may have their own?
 * @s:		the space, at the origin
 * @vma:	the VMA
 *
 * Context: process, also a handler, with mmap_lock held to read.
 * Return: PCN_VDSO_NONE also if they may not.
 */
enum pcn_vdso_part pcn_file_part(struct pcn_space *s, struct vm_area_struct *vma)
{
	enum pcn_vdso_part part = pcn_arch_vdso_part(vma);

	return part && may_give(s) ? part : PCN_VDSO_NONE;
}

static bool get_path(struct file *file, struct pcn_file *f)
{
	char *name = d_path(file_user_path(file), f->path, sizeof(f->path));

	if (IS_ERR(name))
		return false;
	memmove(f->path, name, strlen(name) + 1);
	return true;
}

/**
 * pcn_file_describe - which file is in a VMA, if others may have it, too
 * @s:		the space, at the origin
 * @vma:	the VMA, which replicates
 * @f:		receives the answer
 *
 * Context: process, with mmap_lock held to read.
 * Return: how many bytes of @f others need; 0: it cannot be on other kernels, or is
 * not what is there.
 */
u32 pcn_file_describe(struct pcn_space *s, struct vm_area_struct *vma,
		      struct pcn_file *f)
{
	if (!may_be_elsewhere(vma))
		return 0;
	f->digest = file_digest(vma->vm_file);
	if (!f->digest.size || !may_give(s) || is_changed(vma) ||
	    !get_path(vma->vm_file, f))
		return 0;
	f->offset = vma->vm_pgoff - (vma->vm_start >> PAGE_SHIFT);
	return offsetof(struct pcn_file, path) + strlen(f->path) + 1;
}

/**
 * pcn_remote_access - somebody is about to use the memory of a process
 * @mm:		the memory
 * @gup_flags:	FOLL_*: how
 *
 * To write where the process itself must not is done with FOLL_FORCE, and makes a
 * page another one than the file's.
 *
 * Context: process, with no lock held; sleeps, killably.
 * Return: 0 or -EINTR.
 */
int pcn_remote_access(struct mm_struct *mm, unsigned int gup_flags)
{
	struct pcn_space *s = READ_ONCE(mm->popcorn);

	if (!s || s->mirror || (gup_flags & FORCE_WRITE) != FORCE_WRITE || !pcn_is_origin(s))
		return 0;
	return pcn_files_forbid(s) ? pcn_change_recall(s) : 0;
}

/* --- at a member --- */

static bool file_is_valid(const struct pcn_file *f, u32 length)
{
	u32 head = offsetof(struct pcn_file, path);

	return length > head && length <= sizeof(*f) &&
	       f->digest.size && !f->path[length - head - 1];
}

static bool file_is_same(const struct file *file, const struct pcn_file *f)
{
	struct pcn_digest own = file_digest(file);

	return !memcmp(&own, &f->digest, sizeof(own));
}

/**
 * pcn_file_open - is a file of the origin here, too?
 * @f:		what the origin has said
 * @length:	how many bytes
 * @prot:	PROT_*: what it is wanted for
 *
 * The current task opens the file as its user may.
 *
 * Context: process, with no lock held; sleeps.
 * Return: the file, opened for reading; NULL if it is not here.
 */
struct file *pcn_file_open(const struct pcn_file *f, u32 length, unsigned long prot)
{
	struct file *file;

	if (!file_is_valid(f, length))
		return NULL;
	file = filp_open(f->path, O_RDONLY | O_LARGEFILE | O_NONBLOCK | O_NOCTTY, 0);
	if (IS_ERR(file))
		return NULL;
	if (file_is_same(file, f) && !security_mmap_file(file, prot, MAP_SHARED))
		return file;
	fput(file);
	return NULL;
}

/**
 * pcn_file_map - map a file of this kernel instead of the origin's
 * @s:		the current task's space, at a member
 * @file:	the file, from pcn_file_open()
 * @f:		what the origin has said of it
 * @start:	first address
 * @end:	the first one behind
 * @prot:	PROT_*: as for that
 *
 * Context: process, with mmap_lock held to write.
 * Return: 0; errors of mmap(2), as on a file system that is mounted noexec.
 */
int pcn_file_map(struct pcn_space *s, struct file *file, const struct pcn_file *f,
		 u64 start, u64 end, unsigned long prot)
{
	unsigned long at, populate;

	mmap_assert_write_locked(s->mm);
	at = do_mmap(file, start, end - start, prot,
		     MAP_SHARED | MAP_FIXED_NOREPLACE, 0,
		     f->offset + (start >> PAGE_SHIFT), &populate, NULL);
	if (IS_ERR_VALUE(at))
		return at;
	pcn_count(s, PCN_COUNT(files));
	return 0;
}
