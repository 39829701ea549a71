/* Mappings and pages: what their contract in sys.h promises beyond the bare system call. */
#include "sys.h"
#include "sys_temp.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(sys_memory, .fini = temp_remove);

Test(sys_memory, map_is_aligned_zeroed_and_trimmed)
{
    for (size_t align = 4096; align <= 64 * MiB; align *= 4) {
        char *p = sys_map(NULL, 3 * 4096, align);
        cr_assert_not_null(p);
        cr_expect_eq((uintptr_t)p % align, 0u);
        cr_expect_eq(p[0] | p[3 * 4096 - 1], 0);
        memset(p, 1, 3 * 4096);
        sys_unmap(p, 3 * 4096);
    }
}

Test(sys_memory, map_that_cannot_be_is_null)
{
    cr_expect_null(sys_map(NULL, SIZE_MAX & ~(size_t)4095, 4096));
    cr_expect_null(sys_map(NULL, (size_t)1 << 62, 64 * MiB));
}

Test(sys_memory, memory_is_mapped_over_what_was_there)
{
    temp_file("ours");
    int fd = open(temp, O_RDWR);
    char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    cr_assert(fd >= 0 && p != MAP_FAILED && p[0] == 'o');
    cr_expect_eq(sys_map_over(p, 8192), 0);
    cr_expect(p[0] == 0 && p[8191] == 0);
    p[0] = 'x';
    char now;
    cr_expect(pread(fd, &now, 1, 0) == 1 && now == 'o');
    munmap(p, 8192);
    close(fd);
    temp_remove();
}

/* A child shares its parent's pages until either writes to them. */
Test(sys_memory, pages_are_shared_with_a_child_that_was_forked)
{
    const size_t len = 64 * 4096;
    char *p = sys_map(NULL, len, 4096);
    cr_assert_not_null(p);
    memset(p, 1, len);
    cr_expect_not(sys_shares_pages(p, len));
    pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    cr_expect(sys_shares_pages(p, len));
    memset(p, 2, len / 2);
    cr_expect(sys_shares_pages(p, len), "the second half");
    memset(p, 2, len);
    cr_expect_not(sys_shares_pages(p, len), "they are its own again");
    kill(child, SIGKILL);
    cr_assert_eq(waitpid(child, NULL, 0), child);
    sys_unmap(p, len);
}

/* --- the page map --- */

Test(sys_memory, pages_in_memory_are_told_from_those_that_are_not)
{
    enum { PAGES = 1000, PAGE = 4096 }; /* more pages than are read at once */
    static struct sys_pagemap map;
    char *p = sys_map(NULL, PAGES * PAGE, PAGE);
    cr_assert_not_null(p);
    (void)sys_madvise(p, PAGES * PAGE, MADV_NOHUGEPAGE);
    for (size_t i = 0; i < PAGES; i += 3)
        p[i * PAGE] = 1;
    cr_assert_eq(sys_pagemap_open(&map), 0);
    for (size_t i = 0; i < PAGES; i++) {
        sys_pagemap_read(&map, (uintptr_t)p + i * PAGE, PAGE);
        cr_assert_eq(sys_pagemap_at(&map, (uintptr_t)p + i * PAGE),
                     i % 3 == 0 ? SYS_PAGE_IN_MEMORY : SYS_PAGE_ABSENT, "page %zu", i);
    }
    sys_pagemap_close(&map);
    sys_unmap(p, PAGES * PAGE);
}

Test(sys_memory, all_pages_are_in_memory_where_it_cannot_be_told)
{
    static struct sys_pagemap map;
    static char here;
    struct rlimit before;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &(struct rlimit){0, before.rlim_max}), 0);
    int rc = sys_pagemap_open(&map);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    cr_expect_eq(rc, -EMFILE);
    sys_pagemap_read(&map, (uintptr_t)&here, 1);
    cr_expect_eq(sys_pagemap_at(&map, (uintptr_t)&here), SYS_PAGE_IN_MEMORY);
    sys_pagemap_close(&map);
    cr_expect_eq(sys_pagemap_open(&map), 0, "there are descriptors again");
    sys_pagemap_close(&map);
}

Test(sys_memory, who_is_refused_the_page_map_does_not_ask_again_at_once)
{
    static struct sys_pagemap map;
    if (geteuid() != 0)
        cr_skip_test("needs root");
    cr_assert_eq(setresuid(65534, 65534, 65534), 0); /* its page map is now only for root */
    cr_expect_eq(sys_pagemap_open(&map), -EACCES);
    cr_expect_eq(sys_pagemap_open(&map), -EAGAIN);
    sys_pagemap_close(&map);
}
