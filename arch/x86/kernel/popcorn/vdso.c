// SPDX-License-Identifier: GPL-2.0
/*
 * The vDSO and its data in address spaces that several kernels share.
 *
 * Every kernel has its own, of the same size and with the same code; the data are those
 * of the clock of each. To the program both are mappings like others: it may unmap, move,
 * protect and write them. Only one that is as Linux has made it may be replaced by that of
 * another kernel.
 */
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/mm.h>
#include <linux/mm_types.h>
#include <linux/pkeys.h>

#include <asm/popcorn.h>
#include <asm/vdso.h>
#include <asm/vgtod.h>
#include <asm/vvar.h>

#include <popcorn/hooks.h>

/* What is in them is the kernel's: no VM_MAYWRITE, at other kernels than home. */
#define CODE_FLAGS	(VM_READ | VM_EXEC | VM_MAYREAD | VM_MAYEXEC)
#define DATA_FLAGS	(VM_READ | VM_MAYREAD | VM_IO | VM_DONTDUMP | VM_PFNMAP)

static bool may_be_used_as(struct vm_area_struct *vma, vm_flags_t access)
{
	return (vma->vm_flags & VM_ACCESS_FLAGS) == access && !vma_pkey(vma);
}

/**
 * pcn_arch_vdso_part - which part of the vDSO is a VMA?
 * @vma:	the VMA
 *
 * Context: the VMA is locked.
 * Return: PCN_VDSO_NONE also if it is not as Linux has made it: it may be used in another
 * way, or may have been written.
 */
enum pcn_vdso_part pcn_arch_vdso_part(struct vm_area_struct *vma)
{
	if (vma->anon_vma || vma->vm_mm->context.vdso_image != &vdso_image_64)
		return PCN_VDSO_NONE;
	if (vma_is_special_mapping(vma, &vdso_mapping) &&
	    may_be_used_as(vma, VM_READ | VM_EXEC))
		return PCN_VDSO_CODE;
	if (vma_is_special_mapping(vma, &vvar_mapping) && may_be_used_as(vma, VM_READ))
		return PCN_VDSO_DATA;
	return PCN_VDSO_NONE;
}

/**
 * pcn_arch_vdso_bring_in - enter the page of the vDSO's data that has the clock
 * @vma:	the VMA, PCN_VDSO_DATA
 * @address:	in it
 *
 * Linux does that for the current task alone, which may be in a time namespace. The process
 * is in none, or it would not be shared.
 *
 * Context: process, with mmap_lock held.
 * Return: 0; -EFAULT it is another page; -ENOMEM.
 */
int pcn_arch_vdso_bring_in(struct vm_area_struct *vma, unsigned long address)
{
	unsigned long pfn = __pa_symbol(&__vvar_page) >> PAGE_SHIFT;
	long offset = address - vma->vm_start + (vma->vm_pgoff << PAGE_SHIFT);

	if (offset + vdso_image_64.sym_vvar_start != vdso_image_64.sym_vvar_page)
		return -EFAULT;
	return vmf_insert_pfn(vma, address, pfn) & VM_FAULT_ERROR ? -ENOMEM : 0;
}

static int install(struct mm_struct *mm, unsigned long start, unsigned long size,
		   vm_flags_t flags, const struct vm_special_mapping *mapping)
{
	return PTR_ERR_OR_ZERO(_install_special_mapping(mm, start, size, flags, mapping));
}

/**
 * pcn_arch_vdso_map - map a part of this kernel's vDSO
 * @mm:		the address space, whose home is elsewhere
 * @part:	which
 * @start:	where
 * @size:	bytes, as home has said
 *
 * Context: process, with mmap_lock held to write.
 * Return: 0; -EINVAL there is no such part, or it has another size here; -ENOMEM.
 */
int pcn_arch_vdso_map(struct mm_struct *mm, enum pcn_vdso_part part, unsigned long start,
		      unsigned long size)
{
	int err = -EINVAL;

	if (part == PCN_VDSO_CODE && size == vdso_image_64.size)
		err = install(mm, start, size, CODE_FLAGS, &vdso_mapping);
	else if (part == PCN_VDSO_DATA && size == -vdso_image_64.sym_vvar_start)
		err = install(mm, start, size, DATA_FLAGS, &vvar_mapping);
	if (err)
		return err;
	mm->context.vdso_image = &vdso_image_64;
	if (part == PCN_VDSO_CODE)
		mm->context.vdso = (void __user *)start;
	return 0;
}
