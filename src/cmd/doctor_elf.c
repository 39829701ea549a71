/* plimsoll doctor: whether anything can be preloaded into a program, and whether it has a malloc of
 * its own, by its file. */
#include "doctor.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    HEADERS_MAX = 64,
    NOTES_MAX = 4096,
    SECTIONS_MAX = 1024,
    NAMES_MAX = 64 << 20,
    PART = 1 << 20
};
static const off_t SEARCHED_MAX = (off_t)1 << 30;

static bool read_at(int fd, void *buf, size_t len, uint64_t offset)
{
    return pread(fd, buf, len, (off_t)offset) == (ssize_t)len;
}

/* The Go linker leaves its build id in a note of its own name. */
static bool has_go_note(int fd, const ElfW(Phdr) * header)
{
    char notes[NOTES_MAX];
    size_t len = header->p_filesz < sizeof(notes) ? header->p_filesz : sizeof(notes);
    if (!read_at(fd, notes, len, header->p_offset))
        return false;
    for (size_t at = 0; at + sizeof(ElfW(Nhdr)) <= len;) {
        ElfW(Nhdr) note;
        memcpy(&note, notes + at, sizeof(note));
        at += sizeof(note);
        if (note.n_namesz == 4 && at + 4 <= len && memcmp(notes + at, "Go\0", 4) == 0)
            return true;
        at += ((size_t)note.n_namesz + 3) / 4 * 4 + ((size_t)note.n_descsz + 3) / 4 * 4;
    }
    return false;
}

static void take_headers(int fd, const ElfW(Ehdr) * file, struct doctor_process *ret)
{
    ElfW(Phdr) headers[HEADERS_MAX];
    size_t count = file->e_phnum < HEADERS_MAX ? file->e_phnum : HEADERS_MAX;
    if (file->e_phentsize != sizeof(headers[0]) ||
        !read_at(fd, headers, count * sizeof(headers[0]), file->e_phoff))
        return;
    ret->is_static = true;
    for (size_t i = 0; i < count; i++) {
        if (headers[i].p_type == PT_INTERP)
            ret->is_static = false;
        if (headers[i].p_type == PT_NOTE && has_go_note(fd, &headers[i]))
            ret->other_heap = "Go";
    }
}

static bool is_malloc(const ElfW(Sym) * symbol, const char *names, size_t len)
{
    static const char name[] = "malloc";
    return symbol->st_shndx != SHN_UNDEF && symbol->st_name < len &&
           len - symbol->st_name >= sizeof(name) &&
           memcmp(names + symbol->st_name, name, sizeof(name)) == 0;
}

/* Whether malloc is among the symbols that other objects bind to. */
static bool defines_malloc(int fd, const ElfW(Shdr) * symbols, const ElfW(Shdr) * strings)
{
    ElfW(Sym) some[256];
    size_t len = strings->sh_size, count = symbols->sh_size / sizeof(some[0]);
    char *names = len > 0 && len <= NAMES_MAX ? malloc(len) : NULL;
    bool found = false, more = names != NULL && read_at(fd, names, len, strings->sh_offset);
    for (size_t at = 0; more && !found && at < count;) {
        size_t n = count - at < ARRAY_LEN(some) ? count - at : ARRAY_LEN(some);
        more = read_at(fd, some, n * sizeof(some[0]), symbols->sh_offset + at * sizeof(some[0]));
        for (size_t i = 0; more && !found && i < n; i++)
            found = is_malloc(&some[i], names, len);
        at += n;
    }
    free(names);
    return found;
}

static void take_sections(int fd, const ElfW(Ehdr) * file, struct doctor_process *ret)
{
    size_t count = file->e_shnum < SECTIONS_MAX ? file->e_shnum : SECTIONS_MAX;
    ElfW(Shdr) symbols, strings;
    if (file->e_shentsize != sizeof(symbols))
        return;
    for (size_t i = 0; i < count; i++) {
        if (!read_at(fd, &symbols, sizeof(symbols), file->e_shoff + i * sizeof(symbols)))
            return;
        if (symbols.sh_type != SHT_DYNSYM || symbols.sh_link >= count)
            continue;
        uint64_t at = file->e_shoff + symbols.sh_link * sizeof(strings);
        ret->own_malloc =
            read_at(fd, &strings, sizeof(strings), at) && defines_malloc(fd, &symbols, &strings);
        return;
    }
}

/* Whether the file has a text that only the library has: symbol names go when a program is
 * stripped. */
static bool holds_library(int fd)
{
    static const char text[] = "aborting (PLIMSOLL_ON_LIMIT=abort)";
    static char part[PART];
    for (off_t at = 0; at < SEARCHED_MAX; at += PART - (off_t)sizeof(text)) {
        ssize_t n = pread(fd, part, sizeof(part), at);
        if (n < (ssize_t)sizeof(text))
            return false;
        if (memmem(part, (size_t)n, text, sizeof(text) - 1) != NULL)
            return true;
    }
    return false;
}

void doctor_gather_elf(int pid, struct doctor_process *ret)
{
    char path[64];
    ElfW(Ehdr) header;
    (void)snprintf(path, sizeof(path), "/proc/%d/exe", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return;
    if (read_at(fd, &header, sizeof(header), 0) && memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 &&
        header.e_ident[EI_CLASS] == (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32)) {
        take_headers(fd, &header, ret);
        take_sections(fd, &header, ret);
        ret->linked = (ret->is_static || ret->own_malloc) && holds_library(fd);
    }
    (void)close(fd);
}
