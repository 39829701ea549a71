/* Where pages are, see sys.h. */
#include "sys_internal.h"

#include <fcntl.h>

static const uintptr_t page = 4096;
/* A process that is refused once will be again, and each attempt may be logged somewhere. */
static const uint64_t refused_for_ns = 60 * NS_PER_S;

int sys_pagemap_open(struct sys_pagemap *map)
{
    map->count = 0;
    if (map->not_before_ns > 0 && sys_now_ns() < map->not_before_ns)
        return -EAGAIN;
    int rc = sys_file_open(&map->file, SYS_OWN_FILE("pagemap"), O_RDONLY);
    bool refused = rc < 0 && !sys_error_passes(rc);
    map->not_before_ns = refused ? sys_now_ns() + refused_for_ns : 0;
    return rc;
}

void sys_pagemap_read(struct sys_pagemap *map, uintptr_t at, size_t size)
{
    if (map->file.fd_plus_1 == 0 ||
        (at >= map->begin && at + size <= map->begin + map->count * page))
        return;
    long got = sys_pread(map->file.fd_plus_1 - 1, map->pages, sizeof(map->pages),
                         at / page * sizeof(*map->pages));
    map->begin = at;
    map->count = got > 0 ? (size_t)got / sizeof(*map->pages) : 0;
}

enum sys_page_is sys_pagemap_at(const struct sys_pagemap *map, uintptr_t at)
{
    size_t i = (at - map->begin) / page;
    if (at < map->begin || i >= map->count || map->pages[i] >> 63 != 0)
        return SYS_PAGE_IN_MEMORY;
    return map->pages[i] >> 62 != 0 ? SYS_PAGE_SWAPPED : SYS_PAGE_ABSENT;
}

bool sys_shares_pages(const void *addr, size_t len)
{
    enum { SAMPLES = 32, IN_MEMORY = 63, EXCLUSIVE = 56 };
    const size_t size = sys_page_size();
    bool shared = false;
    int fd = sys_open(SYS_OWN_FILE("pagemap"), O_RDONLY);
    if (fd < 0)
        return true;
    for (size_t i = 0; i < SAMPLES && !shared; i++) {
        const char *at = (const char *)addr + len / SAMPLES / size * size * i;
        uint64_t entry;
        if (sys_pread(fd, &entry, sizeof(entry), (uintptr_t)at / size * sizeof(entry)) !=
            sizeof(entry))
            shared = true;
        else /* a page of zeroes may be the kernel's own, which all share */
            shared = (entry >> IN_MEMORY & 1) != 0 && (entry >> EXCLUSIVE & 1) == 0 &&
                     !is_zero(at, size);
    }
    sys_close(fd);
    return shared;
}

void sys_pagemap_close(struct sys_pagemap *map)
{
    sys_file_close(&map->file);
}
