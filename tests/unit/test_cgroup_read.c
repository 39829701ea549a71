/* What is read at one cgroup level, from small trees made on the spot. */
#include "case_file.h"
#include "cgroup.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char root[64];

static void make_root(void)
{
    snprintf(root, sizeof(root), "/tmp/plim-read-XXXXXX");
    cr_assert_not_null(mkdtemp(root));
}

static void remove_root(void)
{
    tree_remove(root);
}

TestSuite(cgroup_read, .init = make_root, .fini = remove_root);

static void put(const char *path, const char *text)
{
    tree_write(root, path, text, strlen(text));
}

static struct cgroup_dir at(int version, const char *path, size_t mount_len)
{
    struct cgroup_dir dir = {
        .version = version, .confidence = CGROUP_EXACT, .mount_len = mount_len};
    snprintf(dir.path, sizeof(dir.path), "%s", path);
    return dir;
}

static uint64_t reclaimable(int version, const char *stat)
{
    struct cgroup_dir dir = at(version, "/c", 2);
    struct sys_file file = {0};
    uint64_t bytes = 0;
    put("/c/memory.stat", stat);
    cr_expect_eq(cgroup_read_reclaimable(root, &dir, 2, &file, &bytes), 0);
    sys_file_close(&file);
    return bytes;
}

Test(cgroup_read, reclaimable_on_v2_is_file_pages_and_slab)
{
    cr_expect_eq(reclaimable(2, "anon 1\nfile 70\nshmem 1000\ninactive_anon 5000\n"
                                "inactive_file 20\nactive_file 40\nunevictable 9\n"
                                "slab_reclaimable 300\nslab_unreclaimable 7\nslab 307\n"),
                 360u);
    cr_expect_eq(reclaimable(2, "inactive_file 20"), 20u);
    cr_expect_eq(reclaimable(2, ""), 0u);
}

Test(cgroup_read, reclaimable_on_v1_takes_the_totals_where_there_are_any)
{
    const char *own = "cache 1\ninactive_file 20\nactive_file 40\nslab_reclaimable 300\n";
    char all[256];
    cr_expect_eq(reclaimable(1, own), 60u);
    snprintf(all, sizeof(all), "%stotal_cache 1\ntotal_inactive_file 200\ntotal_active_file 400\n",
             own);
    cr_expect_eq(reclaimable(1, all), 600u);
}

Test(cgroup_read, reclaimable_is_found_behind_much_else)
{
    char text[8000];
    size_t len = 0;
    while (len < 6000)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "some_key_%zu 123456789\n", len);
    snprintf(text + len, sizeof(text) - len, "inactive_file 20\r\nactive_file x\nslab 1\n");
    cr_expect_eq(reclaimable(2, text), 20u);
}

Test(cgroup_read, usage_comes_through_the_held_file)
{
    struct cgroup_dir v2 = at(2, "/c/d", 2), v1 = at(1, "/c/d", 2);
    struct sys_file file = {0}, other = {0};
    uint64_t bytes = 7;
    cr_expect_eq(cgroup_read_usage(root, &v2, 4, &file, &bytes), -ENOENT);
    cr_expect_eq(bytes, 7u);
    put("/c/d/memory.current", "4096\n");
    put("/c/memory.current", "8192\n");
    put("/c/memory.usage_in_bytes", "16384");
    cr_expect_eq(cgroup_read_usage(root, &v2, 4, &file, &bytes), 0);
    cr_expect_eq(bytes, 4096u);
    int fd = file.fd_plus_1;
    put("/c/d/memory.current", "12288\n");
    cr_expect_eq(cgroup_read_usage(root, &v2, 4, &file, &bytes), 0);
    cr_expect_eq(bytes, 12288u);
    cr_expect_eq(file.fd_plus_1, fd);
    cr_expect_eq(cgroup_read_usage(root, &v1, 2, &other, &bytes), 0);
    cr_expect_eq(bytes, 16384u);
    put("/c/d/memory.current", "");
    cr_expect_eq(cgroup_read_usage(root, &v2, 4, &file, &bytes), -EINVAL);
    sys_file_close(&file);
    sys_file_close(&other);
}

Test(cgroup_read, oom_kills_are_counted_where_the_kernel_does)
{
    struct cgroup_dir v2 = at(2, "/c", 2), v1 = at(1, "/c", 2);
    uint64_t kills = 7;
    cr_expect_eq(cgroup_read_oom_kills(root, &v2, 2, &kills), -ENOENT);
    put("/c/memory.events", "low 1\nhigh 2\nmax 3\noom 4\noom_kill 5\noom_group_kill 6\n");
    cr_expect_eq(cgroup_read_oom_kills(root, &v2, 2, &kills), 0);
    cr_expect_eq(kills, 5u);
    put("/c/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\n");
    cr_expect_eq(cgroup_read_oom_kills(root, &v1, 2, &kills), -ENODATA);
    put("/c/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n");
    cr_expect_eq(cgroup_read_oom_kills(root, &v1, 2, &kills), 0);
    cr_expect_eq(kills, 3u);
}

Test(cgroup_read, swapped_bytes_are_read_where_the_kernel_counts_them)
{
    struct cgroup_dir v2 = at(2, "/c", 2), v1 = at(1, "/c", 2);
    uint64_t bytes = 7;
    cr_expect_eq(cgroup_read_swapped(root, &v2, &bytes), -ENOENT);
    put("/c/memory.swap.current", "8192\n");
    cr_expect_eq(cgroup_read_swapped(root, &v2, &bytes), 0);
    cr_expect_eq(bytes, 8192u);
    put("/c/memory.stat", "cache 1\nrss 2\n");
    cr_expect_eq(cgroup_read_swapped(root, &v1, &bytes), -ENODATA);
    put("/c/memory.stat", "cache 1\nswap 4096\n");
    cr_expect_eq(cgroup_read_swapped(root, &v1, &bytes), 0);
    cr_expect_eq(bytes, 4096u);
    put("/c/memory.stat", "cache 1\nswap 4096\ntotal_swap 12288\n");
    cr_expect_eq(cgroup_read_swapped(root, &v1, &bytes), 0);
    cr_expect_eq(bytes, 12288u);
}

Test(cgroup_read, levels_name_their_directories_own_first)
{
    struct cgroup_dir dir = at(2, "/m/a/b/c", 2);
    struct cgroup_memory memory;
    put("/m/a/b/c/memory.max", "300");
    put("/m/a/b/memory.max", "max");
    put("/m/a/memory.max", "500");
    put("/m/memory.high", "400");
    put("/memory.max", "1"); /* above the mount: must not be read */
    cr_assert_eq(cgroup_read_memory(root, &dir, &memory), 0);
    cr_assert_eq(memory.level_count, 3u);
    cr_expect_eq(memory.levels[0].path_len, strlen("/m/a/b/c"));
    cr_expect_eq(memory.levels[0].hard, 300u);
    cr_expect_eq(memory.levels[0].high, UNLIMITED);
    cr_expect_eq(memory.levels[1].path_len, strlen("/m/a"));
    cr_expect_eq(memory.levels[1].hard, 500u);
    cr_expect_eq(memory.levels[2].path_len, strlen("/m"));
    cr_expect_eq(memory.levels[2].high, 400u);
    cr_expect_eq(memory.hard, 300u);
    cr_expect_eq(memory.high, 400u);
    cr_expect_eq(memory.swap, UNLIMITED);
}

Test(cgroup_read, limit_of_an_invisible_v1_parent_is_a_level_at_the_top)
{
    struct cgroup_dir dir = at(1, "/m/a", 2);
    struct cgroup_memory memory;
    put("/m/a/memory.limit_in_bytes", "5000");
    put("/m/memory.limit_in_bytes", "9223372036854771712");
    put("/m/a/memory.stat", "hierarchical_memory_limit 3000\n");
    cr_assert_eq(cgroup_read_memory(root, &dir, &memory), 0);
    cr_assert_eq(memory.level_count, 2u);
    cr_expect_eq(memory.levels[1].path_len, 2u);
    cr_expect_eq(memory.levels[1].hard, 3000u);
    cr_expect_eq(memory.hard, 3000u);
}

Test(cgroup_read, removed_cgroup_is_told_and_leaves_the_result_alone)
{
    struct cgroup_dir dir = at(2, "/m/gone", 2), nowhere = at(2, "", 0);
    struct cgroup_memory memory = {.hard = 7};
    uint64_t cpu = 7;
    put("/m/memory.max", "300");
    for (int version = 1; version <= 2; version++) {
        dir.version = version;
        cr_expect_eq(cgroup_read_memory(root, &dir, &memory), -ENOENT);
        cr_expect_eq(cgroup_read_cpu(root, &dir, &cpu), -ENOENT);
    }
    cr_expect_eq(memory.hard, 7u);
    cr_expect_eq(cpu, 7u);
    cr_expect_eq(cgroup_read_memory(root, &nowhere, &memory), 0);
    cr_expect_eq(memory.hard, UNLIMITED);
    cr_expect_eq(memory.level_count, 0u);
    cr_expect_eq(cgroup_read_cpu(root, &nowhere, &cpu), 0);
    cr_expect_eq(cpu, UNLIMITED);
}

Test(cgroup_read, file_name_that_does_not_fit_is_refused)
{
    struct cgroup_dir dir = at(2, "/m/a", 2);
    char buf[12];
    cr_expect_eq(cgroup_level_file("/r", &dir, 4, "memo", buf, sizeof(buf)), 0);
    cr_expect_str_eq(buf, "/r/m/a/memo");
    cr_expect_eq(cgroup_level_file("/r", &dir, 4, "memor", buf, sizeof(buf)), -ENAMETOOLONG);
    cr_expect_eq(cgroup_level_file("/r", &dir, 2, "memory", buf, sizeof(buf)), 0);
    cr_expect_str_eq(buf, "/r/m/memory");
}

Test(cgroup_read, effective_cpus_round_up_and_stay_between_one_and_affinity)
{
    cr_expect_eq(cgroup_effective_cpus(8, UNLIMITED), 8u);
    cr_expect_eq(cgroup_effective_cpus(8, 1), 1u);
    cr_expect_eq(cgroup_effective_cpus(8, 1000), 1u);
    cr_expect_eq(cgroup_effective_cpus(8, 1001), 2u);
    cr_expect_eq(cgroup_effective_cpus(8, 16000), 8u);
    cr_expect_eq(cgroup_effective_cpus(8, 0), 1u);
    cr_expect_eq(cgroup_effective_cpus(0, UNLIMITED), 1u);
}

Test(cgroup_read, ram_is_the_machines_or_that_of_the_tree)
{
    cr_expect_eq(cgroup_ram_bytes(""), sys_ram_bytes());
    cr_expect_eq(cgroup_ram_bytes(root), UNLIMITED);
    put("/proc/meminfo", "MemFree: 1 kB\nMemTotal:       2048 kB\n");
    cr_expect_eq(cgroup_ram_bytes(root), 2 * MiB);
    put("/proc/meminfo", "MemTotal: none\n");
    cr_expect_eq(cgroup_ram_bytes(root), UNLIMITED);
}

/* Enough for Linux, glibc and the library; a sanitizer's frames are several times as large. */
#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
enum { SMALL_STACK = 256 * 1024 };
#elif defined(__aarch64__)
enum { SMALL_STACK = 128 * 1024 }; /* the least that glibc allows */
#else
enum { SMALL_STACK = 32 * 1024 };
#endif

/* Everything that the library does with cgroups, for a thread whose stack has little more room. */
static void *resolve_and_read(void *arg)
{
    static struct cgroup cgroup; /* static, as in the library */
    struct cgroup_memory memory;
    struct sys_file file = {0};
    uint64_t value;
    (void)arg;
    (void)cgroup_resolve("", (int)getpid(), &cgroup);
    (void)cgroup_read_memory("", &cgroup.memory, &memory);
    (void)cgroup_read_cpu("", &cgroup.cpu, &value);
    (void)cgroup_read_reclaimable("", &cgroup.memory, strlen(cgroup.memory.path), &file, &value);
    (void)cgroup_read_oom_kills("", &cgroup.memory, strlen(cgroup.memory.path), &value);
    sys_file_close(&file);
    return NULL;
}

Test(cgroup_read, works_on_a_thread_with_a_small_stack)
{
    pthread_attr_t attr;
    pthread_t thread;
    pthread_attr_init(&attr);
    cr_assert_eq(pthread_attr_setstacksize(&attr, SMALL_STACK), 0);
    cr_assert_eq(pthread_create(&thread, &attr, resolve_and_read, NULL), 0);
    cr_expect_eq(pthread_join(thread, NULL), 0);
}
