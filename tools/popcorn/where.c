// SPDX-License-Identifier: GPL-2.0
/*
 * popcorn - what there is at an address of a process: its mapping, and the variable or
 * function, if the file has a table of symbols
 *
 * The files are read as they are: what they say of offsets and sizes is checked.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "popcorn.h"

#define PAGE	4096

/**
 * struct mapping - a line of /proc/PID/maps
 * @start:	its first address
 * @end:	the first one behind it
 * @offset:	in the file
 * @inode:	number of the file, 0 if there is none
 * @name:	the path, a name in brackets or nothing
 */
struct mapping {
	uint64_t start;
	uint64_t end;
	uint64_t offset;
	uint64_t inode;
	char *name;
};

/**
 * struct pcn_maps - the mappings of a process
 * @pid:	the process
 * @count:	how many it has
 * @mapping:	these, by address
 */
struct pcn_maps {
	int pid;
	size_t count;
	struct mapping *mapping;
};

/* struct image - a file that is mapped here, to read it */
struct image {
	const unsigned char *data;
	size_t size;
};

/* --- mappings --- */

/* Read a line. Returns false if it is none. */
static bool read_mapping(struct mapping *m, char *line)
{
	int name = 0;

	line[strcspn(line, "\n")] = '\0';
	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64 " %*s %" SCNu64 " %n",
		   &m->start, &m->end, &m->offset, &m->inode, &name) != 4 || !name)
		return false;
	m->name = memcpy(pcn_grow(NULL, strlen(line + name) + 1), line + name,
			 strlen(line + name) + 1);
	return true;
}

/**
 * pcn_maps_read() - read what a process has mapped
 * @pid:	the process
 *
 * Return: the mappings, for pcn_maps_free(); none if they cannot be read.
 */
struct pcn_maps *pcn_maps_read(int pid)
{
	struct pcn_maps *maps = memset(pcn_grow(NULL, sizeof(*maps)), 0, sizeof(*maps));
	char path[256], *line = NULL;
	size_t room = 0;
	FILE *in;

	maps->pid = pid;
	snprintf(path, sizeof(path), "%s/%d/maps", pcn_path_of("POPCORN_PROC", "/proc"), pid);
	in = fopen(path, "re");
	while (in && getline(&line, &room, in) > 0) {
		maps->mapping = pcn_grow(maps->mapping,
					 (maps->count + 1) * sizeof(*maps->mapping));
		if (read_mapping(&maps->mapping[maps->count], line))
			maps->count++;
	}
	free(line);
	if (in)
		fclose(in);
	return maps;
}

/**
 * pcn_maps_free() - forget them
 * @maps:	the mappings
 */
void pcn_maps_free(struct pcn_maps *maps)
{
	size_t i;

	for (i = 0; i < maps->count; i++)
		free(maps->mapping[i].name);
	free(maps->mapping);
	free(maps);
}

/* Find the mapping of an address. Returns NULL if there is none. */
static const struct mapping *find_mapping(const struct pcn_maps *maps, uint64_t page)
{
	size_t i;

	for (i = 0; i < maps->count; i++)
		if (maps->mapping[i].start <= page && page < maps->mapping[i].end)
			return &maps->mapping[i];
	return NULL;
}

/*
 * The mapping of a file that an address may belong to: memory right behind one is what
 * the file says is zero, though the heap may begin with it. Returns NULL if there is none.
 */
static const struct mapping *of_file(const struct pcn_maps *maps, const struct mapping *m)
{
	if (m->inode)
		return m;
	if ((*m->name && strcmp(m->name, "[heap]")) || m == maps->mapping ||
	    m[-1].end != m->start || !m[-1].inode)
		return NULL;
	return m - 1;
}

/* The first mapping of the same file. */
static const struct mapping *first_of(const struct pcn_maps *maps, const struct mapping *m)
{
	const struct mapping *first = maps->mapping;

	while (first->inode != m->inode || strcmp(first->name, m->name))
		first++;
	return first;
}

/* --- files --- */

/* Map a file of a process. Returns one of size 0 if that cannot be done. */
static struct image open_image(const struct pcn_maps *maps, const struct mapping *m)
{
	struct image image = { 0 };
	char path[4352];
	struct stat st;
	void *data;
	int fd;

	snprintf(path, sizeof(path), "%s/%d/root%s", pcn_path_of("POPCORN_PROC", "/proc"),
		 maps->pid, m->name);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return image;
	/* It may be another one by now. */
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_ino == m->inode && st.st_size) {
		data = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (data != MAP_FAILED)
			image = (struct image) { data, st.st_size };
	}
	close(fd);
	return image;
}

/* A part of a file. Returns NULL if the file does not have all of it. */
static const void *part(const struct image *image, uint64_t offset, uint64_t size)
{
	if (offset > image->size || size > image->size - offset)
		return NULL;
	return image->data + offset;
}

/* A table in a file. Returns NULL if it is not there, or misaligned. */
static const void *table(const struct image *image, uint64_t offset, uint64_t count,
			 size_t size)
{
	const void *data = count <= image->size ? part(image, offset, count * size) : NULL;

	return offset % sizeof(uint64_t) ? NULL : data;
}

/* The head of an ELF file of 64 bits. Returns NULL if it is none. */
static const Elf64_Ehdr *elf_of(const struct image *image)
{
	const Elf64_Ehdr *elf = part(image, 0, sizeof(*elf));

	if (!elf || memcmp(elf->e_ident, ELFMAG, SELFMAG) ||
	    elf->e_ident[EI_CLASS] != ELFCLASS64 ||
	    elf->e_phentsize != sizeof(Elf64_Phdr))
		return NULL;
	return elf;
}

/*
 * Turn an address into the one that the file means: where its first mapping is tells by
 * how much they differ. Returns false if the file has nothing there.
 */
static bool to_link_address(const struct image *image, const struct mapping *first,
			    uint64_t page, uint64_t *address)
{
	const Elf64_Ehdr *elf = elf_of(image);
	const Elf64_Phdr *p = elf ? table(image, elf->e_phoff, elf->e_phnum, sizeof(*p)) : NULL;
	bool known = false;
	size_t i;

	for (i = 0; p && i < elf->e_phnum && !known; i++) {
		known = p[i].p_type == PT_LOAD && p[i].p_offset / PAGE == first->offset / PAGE;
		if (known)
			*address = page - first->start + p[i].p_vaddr / PAGE * PAGE;
	}
	for (i = 0; known && i < elf->e_phnum; i++)
		if (p[i].p_type == PT_LOAD && *address + PAGE > p[i].p_vaddr &&
		    *address < p[i].p_vaddr + p[i].p_memsz)
			return true;
	return false;
}

/* How many bytes of a page a symbol has. */
static uint64_t overlap(const Elf64_Sym *s, uint64_t page)
{
	uint64_t start = s->st_value > page ? s->st_value : page;
	uint64_t end = s->st_value + s->st_size;

	if (end < s->st_value || s->st_shndx == SHN_UNDEF || !s->st_name ||
	    (ELF64_ST_TYPE(s->st_info) != STT_OBJECT &&
	     ELF64_ST_TYPE(s->st_info) != STT_FUNC))
		return 0;
	end = end < page + PAGE ? end : page + PAGE;
	return end > start ? end - start : 0;
}

/* struct symbols - a table of symbols, and their names */
struct symbols {
	const Elf64_Sym *symbol;
	size_t count;
	const char *names;
	size_t names_size;
};

/* Find a table of symbols of a type. One without any if there is none. */
static struct symbols symbols_of(const struct image *image, uint32_t type)
{
	const Elf64_Ehdr *elf = elf_of(image);
	const Elf64_Shdr *s = elf && elf->e_shentsize == sizeof(*s) ?
			      table(image, elf->e_shoff, elf->e_shnum, sizeof(*s)) : NULL;
	struct symbols found = { 0 };
	size_t i;

	for (i = 0; s && i < elf->e_shnum; i++) {
		if (s[i].sh_type != type || s[i].sh_link >= elf->e_shnum)
			continue;
		found.count = s[i].sh_size / sizeof(*found.symbol);
		found.symbol = table(image, s[i].sh_offset, found.count,
				     sizeof(*found.symbol));
		found.names_size = s[s[i].sh_link].sh_size;
		found.names = part(image, s[s[i].sh_link].sh_offset, found.names_size);
	}
	if (!found.symbol || !found.names || !found.names_size ||
	    found.names[found.names_size - 1])
		found.count = 0;
	return found;
}

/* Find the symbol with the largest part of a page. Returns NULL if there is none. */
static const Elf64_Sym *find_largest(const struct symbols *s, uint64_t page)
{
	const Elf64_Sym *best = NULL;
	uint64_t most = 0, size;
	size_t i;

	for (i = 0; i < s->count; i++) {
		size = overlap(&s->symbol[i], page);
		if (size > most && s->symbol[i].st_name < s->names_size) {
			best = &s->symbol[i];
			most = size;
		}
	}
	return best;
}

/* Name what there is in a page, and count what else there is. */
static void find_symbol(const struct symbols *s, uint64_t page, struct pcn_where *where)
{
	const Elf64_Sym *best = find_largest(s, page);
	size_t i;

	if (!best)
		return;
	snprintf(where->symbol, sizeof(where->symbol), "%s", s->names + best->st_name);
	where->offset = best->st_value < page ? page - best->st_value : 0;
	/* One of the same address is another name. */
	for (i = 0; i < s->count; i++)
		where->more += overlap(&s->symbol[i], page) &&
			       s->symbol[i].st_value != best->st_value;
}

/* Look for a symbol in a file. Returns false if the file has nothing at the address. */
static bool look_in(const struct pcn_maps *maps, const struct mapping *m, uint64_t page,
		    struct pcn_where *where)
{
	struct image image = open_image(maps, m);
	struct symbols symbols;
	uint64_t address;
	bool has;

	if (!image.size)
		return false;
	has = to_link_address(&image, first_of(maps, m), page, &address);
	if (has) {
		symbols = symbols_of(&image, SHT_SYMTAB);
		if (!symbols.count)
			symbols = symbols_of(&image, SHT_DYNSYM);
		find_symbol(&symbols, address, where);
	}
	munmap((void *)image.data, image.size);
	return has;
}

/**
 * pcn_maps_find() - what there is in a page of a process
 * @maps:	its mappings
 * @page:	address of the page
 * @where:	receives it
 */
void pcn_maps_find(struct pcn_maps *maps, uint64_t page, struct pcn_where *where)
{
	const struct mapping *m = find_mapping(maps, page), *file;
	const char *name;

	*where = (struct pcn_where) { 0 };
	if (!m)
		return;
	file = of_file(maps, m);
	name = file && (look_in(maps, file, page, where) || file == m) ? file->name : m->name;
	snprintf(where->mapping, sizeof(where->mapping), "%s", *name ? name : "[anon]");
}
