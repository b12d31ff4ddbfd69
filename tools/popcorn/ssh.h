/* SPDX-License-Identifier: GPL-2.0 */
/*
 * popcorn - what the two ends of "popcorn ssh" share
 */
#ifndef _TOOLS_POPCORN_SSH_H
#define _TOOLS_POPCORN_SSH_H

#define PCN_SSH_PORT	22

char *pcn_ssh_file(const char *name);
void pcn_ssh_lock(void);
char *pcn_read_file(const char *path);
char *pcn_ssh_key(const char *line);
int pcn_ssh_serve(const char *key);

#endif /* _TOOLS_POPCORN_SSH_H */
