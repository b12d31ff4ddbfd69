/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A system call with something in every register that it has to preserve. All
 * but %rax, %rcx and %r11 do: these carry the result, the address and the flags.
 */
#include "hop.h"

	.macro	vectors insn reg base to_memory
	.irp	i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	.if	\to_memory
	\insn	%\reg\i, HOP_VECTOR+32*\i(\base)
	.else
	\insn	HOP_VECTOR+32*\i(\base), %\reg\i
	.endif
	.endr
	.endm

	/* The last one that is loaded is the first one that is stored. */
	.macro	load_x87 base
	fninit
	fldcw	HOP_FCW(\base)
	.irp	i, 7,6,5,4,3,2,1,0
	fldt	HOP_X87+16*\i(\base)
	.endr
	.endm

	.macro	store_x87 base
	.irp	i, 0,1,2,3,4,5,6,7
	fstpt	HOP_X87+16*\i(\base)
	.endr
	fnstcw	HOP_FCW(\base)
	.endm

	.macro	general op base
	.if	\op
	movq	%rdx, HOP_RDX(\base)
	movq	%rdi, HOP_RDI(\base)
	movq	%rsi, HOP_RSI(\base)
	movq	%rbx, HOP_RBX(\base)
	movq	%rbp, HOP_RBP(\base)
	movq	%r8, HOP_R8(\base)
	movq	%r9, HOP_R9(\base)
	movq	%r10, HOP_R10(\base)
	movq	%r12, HOP_R12(\base)
	movq	%r13, HOP_R13(\base)
	movq	%r14, HOP_R14(\base)
	movq	%r15, HOP_R15(\base)
	.else
	movq	HOP_RDX(\base), %rdx
	movq	HOP_RSI(\base), %rsi
	movq	HOP_RBX(\base), %rbx
	movq	HOP_RBP(\base), %rbp
	movq	HOP_R8(\base), %r8
	movq	HOP_R9(\base), %r9
	movq	HOP_R10(\base), %r10
	movq	HOP_R12(\base), %r12
	movq	HOP_R13(\base), %r13
	movq	HOP_R14(\base), %r14
	movq	HOP_R15(\base), %r15
	.endif
	.endm

	/* (%rdi: in, %rsi: out, %rdx: number) */
	.macro	hop name insn reg
	.globl	\name
	.type	\name, @function
\name:
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	pushq	%rsi
	subq	$8, %rsp
	stmxcsr	(%rsp)
	fnstcw	4(%rsp)

	movq	%rdx, %rax
	vectors	\insn \reg %rdi 0
	ldmxcsr	HOP_MXCSR(%rdi)
	load_x87 %rdi
	pushq	HOP_FLAGS(%rdi)
	general	0 %rdi
	movq	HOP_RDI(%rdi), %rdi
	popfq
	syscall

	pushfq
	cld
	movq	16(%rsp), %r11
	popq	HOP_FLAGS(%r11)
	general	1 %r11
	store_x87 %r11
	stmxcsr	HOP_MXCSR(%r11)
	vectors	\insn \reg %r11 1

	ldmxcsr	(%rsp)
	fninit
	fldcw	4(%rsp)
	addq	$16, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	ret
	.size	\name, . - \name
	.endm

	.text
	hop	hop_sse movdqu xmm
	hop	hop_avx vmovdqu ymm

	.section .note.GNU-stack, "", @progbits
