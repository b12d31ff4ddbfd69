/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The way of a CPU from INIT/SIPI into another kernel, in two stages.
 *
 * The first lives in a page below 1 MiB that belongs to the primary. It takes
 * the CPU from real to long mode on page tables of the primary that map just
 * this page and the boot area of the partition. Or, if the command word says
 * so, it acknowledges and halts: that is how the primary makes sure that a
 * CPU has left a kernel.
 *
 * The second lives in the partition's boot area. From here on nothing of the
 * primary is needed: own page tables, own GDT, own stack. The CPU waits at
 * its mailbox until an address appears there. The primary writes that of the
 * boot CPU, the kernel on it writes those of the others.
 *
 * Both are data as far as this kernel is concerned: they are copied before
 * they run and refer to nothing outside of themselves.
 */
#include <linux/linkage.h>
#include <asm/msr-index.h>
#include <asm/popcorn.h>
#include <asm/processor-flags.h>
#include <asm/segment.h>

#define REL(symbol)	(symbol - pcn_trampoline)

	.section .rodata
	.balign	16
SYM_DATA_START(pcn_trampoline)
	.code16
	cli
	jmp	.Lreal_mode

	/* struct pcn_trampoline in launch.c */
	.balign	8
.Lcommand:	.long	0
.Lack:		.long	0
.Lcookie:	.long	0
.Lindex:	.long	0
.Ltarget:	.long	0
.Lpad:		.long	0
.Lentry:	.quad	0
.Lcr3:		.long	0
.Lcr4:		.long	0
.Lefer:		.quad	0
.Lfar32:	.long	0
		.word	__KERNEL32_CS, 0
.Lfar64:	.long	0
		.word	__KERNEL_CS, 0
.Lgdtr:		.word	.Lgdt_end - .Lgdt - 1
.Lgdt_base:	.long	0
		.word	0
.Lidtr:		.quad	0
	.balign	16
.Lgdt:		.quad	0
		.quad	0x00cf9b000000ffff	/* __KERNEL32_CS */
		.quad	0x00af9b000000ffff	/* __KERNEL_CS */
		.quad	0x00cf93000000ffff	/* __KERNEL_DS */
.Lgdt_end:

.Lreal_mode:
	cld
	movw	%cs, %ax
	movw	%ax, %ds
	movzwl	%ax, %ebx
	shll	$4, %ebx		/* linear address of the page */
	movl	%ebx, %ebp

	/*
	 * A CPU that comes so late that the primary has given it up must not
	 * take for its own what is meant for another one. Compare the APIC id:
	 * 32 bits of it where there is leaf 0xb, 8 bits elsewhere.
	 */
	xorl	%eax, %eax
	cpuid
	cmpl	$0xb, %eax
	jb	.Lshort_id
	movl	$0xb, %eax
	xorl	%ecx, %ecx
	cpuid
	testw	%bx, %bx
	jnz	.Lhave_id
.Lshort_id:
	movl	$1, %eax
	cpuid
	movl	%ebx, %edx
	shrl	$24, %edx
.Lhave_id:
	movl	%ebp, %ebx
	cmpl	%edx, REL(.Ltarget)
	jne	.Lparked

	cmpl	$PCN_TRAMPOLINE_PARK, REL(.Lcommand)
	jne	.Lstart

	/* The cookie tells the primary that this CPU is here. */
	movl	REL(.Lcookie), %eax
	movl	%eax, REL(.Lack)
.Lparked:
	hlt
	jmp	.Lparked

.Lstart:
	lidtl	REL(.Lidtr)
	lgdtl	REL(.Lgdtr)
	movl	$(CR0_STATE & ~X86_CR0_PG), %eax
	movl	%eax, %cr0
	ljmpl	*REL(.Lfar32)

	.code32
	.balign	4
SYM_INNER_LABEL(pcn_trampoline_32, SYM_L_GLOBAL)
	movl	$__KERNEL_DS, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movl	%eax, %fs
	movl	%eax, %gs
	movl	REL(.Lcr4)(%ebx), %eax
	movl	%eax, %cr4
	movl	REL(.Lcr3)(%ebx), %eax
	movl	%eax, %cr3
	movl	$MSR_EFER, %ecx
	movl	REL(.Lefer)(%ebx), %eax
	movl	REL(.Lefer)+4(%ebx), %edx
	wrmsr
	movl	$CR0_STATE, %eax
	movl	%eax, %cr0
	ljmpl	*REL(.Lfar64)(%ebx)

	.code64
	.balign	4
SYM_INNER_LABEL(pcn_trampoline_64, SYM_L_GLOBAL)
	movl	REL(.Lindex)(%rbx), %edi
	jmpq	*REL(.Lentry)(%rbx)
SYM_DATA_END_LABEL(pcn_trampoline, SYM_L_GLOBAL, pcn_trampoline_end)

	/* EDI: number of this CPU in its kernel. */
	.balign	16
SYM_DATA_START(pcn_stage2)
	leaq	pcn_stage2(%rip), %rbp	/* PCN_BOOT_CODE is 0 */
	leaq	PCN_BOOT_TABLES(%rbp), %rax
	movq	%rax, %cr3

	leal	1(%rdi), %eax
	shll	$PCN_BOOT_STACK_SHIFT, %eax
	leaq	PCN_BOOT_STACK(%rbp,%rax), %rsp
	leaq	.Lgdt2(%rip), %rax
	pushq	%rax
	subq	$2, %rsp
	movw	$(.Lgdt2_end - .Lgdt2 - 1), (%rsp)
	lgdt	(%rsp)
	addq	$10, %rsp

	movl	%edi, %eax
	shll	$PCN_MAILBOX_SHIFT, %eax
	leaq	PCN_BOOT_MAILBOX(%rbp,%rax), %rbx
	movl	$PCN_MAILBOX_WAITING, PCN_MAILBOX_STATE(%rbx)
.Lwait:
	movq	PCN_MAILBOX_ENTRY(%rbx), %rax
	testq	%rax, %rax
	jnz	.Lgo
	pause
	jmp	.Lwait
.Lgo:
	movq	PCN_MAILBOX_ARG(%rbx), %rsi
	movl	$PCN_MAILBOX_GONE, PCN_MAILBOX_STATE(%rbx)
	jmpq	*%rax

	.balign	16
.Lgdt2:		.quad	0
		.quad	0x00cf9b000000ffff	/* __KERNEL32_CS */
		.quad	0x00af9b000000ffff	/* __KERNEL_CS */
		.quad	0x00cf93000000ffff	/* __KERNEL_DS */
.Lgdt2_end:
SYM_DATA_END_LABEL(pcn_stage2, SYM_L_GLOBAL, pcn_stage2_end)
