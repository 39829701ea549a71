/* plimsoll doctor: what the file of a program tells: whether anything can be preloaded into it. */
#include "doctor.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { HEADERS_MAX = 64, NOTES_MAX = 4096 };

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

void doctor_gather_elf(int pid, struct doctor_process *ret)
{
    char path[64];
    ElfW(Ehdr) header;
    (void)snprintf(path, sizeof(path), "/proc/%d/exe", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return;
    if (read_at(fd, &header, sizeof(header), 0) && memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 &&
        header.e_ident[EI_CLASS] == (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32))
        take_headers(fd, &header, ret);
    (void)close(fd);
}
