/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The registers that migrate loads before a hop and stores after it, and where
 * they are for hop.S.
 */
#ifndef HOP_H
#define HOP_H

#define HOP_RBX		0
#define HOP_RBP		8
#define HOP_RDX		16
#define HOP_RDI		24
#define HOP_RSI		32
#define HOP_R8		40
#define HOP_R9		48
#define HOP_R10		56
#define HOP_R12		64
#define HOP_R13		72
#define HOP_R14		80
#define HOP_R15		88
#define HOP_FLAGS	96
#define HOP_MXCSR	104
#define HOP_FCW		108
#define HOP_X87		112
#define HOP_VECTOR	240

#ifndef __ASSEMBLER__

#include <stdint.h>

struct hop_registers {
	uint64_t	general[12];	/* as above; %rdi and %rsi are arguments */
	uint64_t	flags;
	uint32_t	mxcsr;
	uint16_t	fcw, unused;
	uint8_t		x87[8][16];	/* 10 bytes each */
	uint8_t		vector[16][32];
};

/*
 * System call @number with the registers of @in, which are put in @out when it
 * returns. Return: what it returned.
 */
long hop_sse(const struct hop_registers *in, struct hop_registers *out,
	     long number);
long hop_avx(const struct hop_registers *in, struct hop_registers *out,
	     long number);

#endif
#endif
