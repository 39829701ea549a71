/* plimsoll doctor: the process asked about, or what a program started from here would inherit. */
#include "doctor.h"

#include "../fmt.h"
#include "../stats_page.h"

#include <elf.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { NEIGHBOURS_MAX = 256 };

static const char ours[] = "libplimsoll.so";

/* Libraries that bring a malloc, by what their file names hold. */
static const char *const mallocs[] = {
    "libjemalloc", "libtcmalloc", "libmimalloc",       "libsnmalloc",        "librpmalloc",
    "libhoard",    "libscudo",    "libtbbmalloc",      "libhardened_malloc", "libasan",
    "libtsan",     "liblsan",     "libc_malloc_debug", "libefence",          "libdmalloc",
    "libumem",     "libdlmalloc", "libptmalloc",       "libmemusage",        "libnedmalloc",
};
static const char *const sanitizers[] = {"libasan",         "libtsan",   "liblsan",
                                         "libmsan",         "libhwasan", "libclang_rt.asan",
                                         "libclang_rt.tsan"};

/* Variables that only glibc's malloc reads. */
static const char *const leftovers[] = {
    "MALLOC_ARENA_MAX=", "MALLOC_ARENA_TEST=", "MALLOC_TRIM_THRESHOLD_=", "MALLOC_MMAP_THRESHOLD_=",
    "MALLOC_MMAP_MAX_=", "MALLOC_TOP_PAD_=",   "MALLOC_PERTURB_=",        "MALLOC_CHECK_=",
    "TCMALLOC_",         "MIMALLOC_",
};

static void append_word(char list[DOCTOR_WORDS_MAX], const char *word, size_t len)
{
    size_t used = strlen(list);
    (void)snprintf(list + used, DOCTOR_WORDS_MAX - used, "%s%.*s", used > 0 ? ", " : "", (int)len,
                   word);
}

static bool names_malloc(const char *name, size_t len)
{
    for (size_t i = 0; i < ARRAY_LEN(mallocs); i++)
        if (memmem(name, len, mallocs[i], strlen(mallocs[i])) != NULL)
            return true;
    return false;
}

static void take_preload(const char *list, struct doctor_process *ret)
{
    for (list += strspn(list, " :"); *list != '\0'; list += strspn(list, " :")) {
        size_t len = strcspn(list, " :");
        if (memmem(list, len, ours, sizeof(ours) - 1) != NULL)
            ret->preload_asked = true;
        else if (names_malloc(list, len))
            append_word(ret->preload_asked ? ret->behind : ret->before, list, len);
        list += len;
    }
    if (!ret->preload_asked) { /* run puts ours in front */
        memcpy(ret->behind, ret->before, sizeof(ret->behind));
        ret->before[0] = '\0';
    }
}

void doctor_gather_environment(const char *const *entries, struct doctor_process *ret)
{
    static const char conf[] = "MALLOC_CONF=", preload[] = "LD_PRELOAD=",
                      tunables[] = "GLIBC_TUNABLES=";
    for (; *entries != NULL; entries++) {
        const char *entry = *entries;
        for (size_t i = 0; i < ARRAY_LEN(leftovers); i++)
            if (strncmp(entry, leftovers[i], strlen(leftovers[i])) == 0)
                append_word(ret->leftovers, entry, strcspn(entry, "="));
        if (strncmp(entry, tunables, sizeof(tunables) - 1) == 0 &&
            strstr(entry, "glibc.malloc.") != NULL)
            append_word(ret->leftovers, entry, strcspn(entry, "="));
        if (strncmp(entry, conf, sizeof(conf) - 1) == 0)
            (void)snprintf(ret->malloc_conf, sizeof(ret->malloc_conf), "%s",
                           entry + sizeof(conf) - 1);
        if (strncmp(entry, preload, sizeof(preload) - 1) == 0)
            take_preload(entry + sizeof(preload) - 1, ret);
    }
}

static void take_mapping(const char *line, struct doctor_process *ret)
{
    const char *page = strstr(line, "/" PAGE_PREFIX);
    if (strstr(line, "/libplimsoll.so") != NULL)
        ret->preloaded = true;
    if (page != NULL && page[sizeof(PAGE_PREFIX)] >= '0' && page[sizeof(PAGE_PREFIX)] <= '9')
        ret->page_mapped = true;
    for (size_t i = 0; i < ARRAY_LEN(sanitizers); i++)
        if (strstr(line, sanitizers[i]) != NULL)
            (void)snprintf(ret->sanitizer, sizeof(ret->sanitizer), "%s", sanitizers[i]);
    if (strstr(line, "/libjvm.so") != NULL)
        ret->other_heap = "Java";
    if (strstr(line, "/libcoreclr.so") != NULL)
        ret->other_heap = ".NET";
}

static void read_maps(int pid, struct doctor_process *ret)
{
    char path[64], line[4200];
    (void)snprintf(path, sizeof(path), "/proc/%d/maps", pid);
    FILE *maps = fopen(path, "re");
    if (maps == NULL)
        return;
    ret->maps_readable = true;
    while (fgets(line, sizeof(line), maps) != NULL)
        take_mapping(line, ret);
    (void)fclose(maps);
}

static void read_secure(int pid, struct doctor_process *ret)
{
    char path[64];
    ElfW(auxv_t) entries[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/auxv", pid);
    long got = sys_read_file(path, (char *)entries, sizeof(entries));
    for (size_t i = 0; got > 0 && i < (size_t)got / sizeof(entries[0]); i++)
        if (entries[i].a_type == AT_SECURE)
            ret->secure = entries[i].a_un.a_val != 0;
}

/* Whether it is in another pid namespace than this command: unknown is no. */
static bool is_elsewhere(int pid)
{
    char path[64], own[64] = "", other[64] = "";
    (void)snprintf(path, sizeof(path), "/proc/%d/ns/pid", pid);
    return readlink("/proc/self/ns/pid", own, sizeof(own) - 1) > 0 &&
           readlink(path, other, sizeof(other) - 1) > 0 && strcmp(own, other) != 0;
}

static void read_oom_score(const char *who, struct doctor_process *ret)
{
    char path[64], text[32];
    (void)snprintf(path, sizeof(path), "/proc/%s/oom_score_adj", who);
    ret->oom_score_known = sys_read_file(path, text, sizeof(text)) > 0;
    if (ret->oom_score_known)
        ret->oom_score = atoi(text);
}

static void read_comm(int pid, char *buf, size_t size)
{
    char path[64], name[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/comm", pid);
    if (sys_read_file(path, name, sizeof(name)) > 0)
        (void)snprintf(buf, size, "%.*s", (int)strcspn(name, "\n"), name);
}

static void count_neighbour(int pid, struct doctor_process *ret)
{
    struct doctor_process other = {0};
    read_maps(pid, &other);
    if (!other.maps_readable || other.preloaded || other.page_mapped)
        return;
    ret->neighbours++;
    read_comm(pid, ret->neighbour, sizeof(ret->neighbour));
}

/* Processes that share its own cgroup. */
static void read_neighbours(const struct diagnosis *d, struct doctor_process *ret)
{
    const struct cgroup_dir *dir = &d->cgroup.memory;
    char path[CGROUP_PATH_MAX];
    int pid;
    if (dir->path[0] == '\0' ||
        cgroup_level_file("", dir, strlen(dir->path), "cgroup.procs", path, sizeof(path)) < 0)
        return;
    FILE *list = fopen(path, "re");
    if (list == NULL)
        return;
    for (int i = 0; i < NEIGHBOURS_MAX && fscanf(list, "%d", &pid) == 1; i++)
        if (pid != d->request.pid && pid != (int)getpid())
            count_neighbour(pid, ret);
    (void)fclose(list);
}

/* The first usable directory, in the library's order; else the last one, which is unusable too. */
static void read_stats_dir(const struct options *o, int pid, struct doctor_dir *ret)
{
    const char *dirs[STATS_DIRS_MAX];
    unsigned count = options_stats_dirs(o, dirs);
    for (unsigned i = 0; i < count; i++) {
        doctor_gather_dir(pid, dirs[i], ret);
        if (ret->rc == 0 || ret->untold)
            return;
    }
}

void doctor_gather_process(struct diagnosis *d)
{
    struct doctor_process *ret = &d->process;
    int pid = d->request.pid;
    char who[16] = "self";
    struct rlimit most;
    if (pid > 0) {
        (void)snprintf(who, sizeof(who), "%d", pid);
        read_comm(pid, ret->comm, sizeof(ret->comm));
        read_maps(pid, ret);
        read_secure(pid, ret);
        doctor_gather_elf(pid, ret);
        ret->elsewhere = is_elsewhere(pid);
        read_neighbours(d, ret);
    }
    ret->address_space = UNLIMITED;
    if (prlimit(pid, RLIMIT_AS, NULL, &most) == 0 && most.rlim_cur != RLIM_INFINITY)
        ret->address_space = most.rlim_cur;
    read_oom_score(who, ret);
    read_stats_dir(&d->options, pid, &ret->stats);
    if (d->options.record_dir[0] != '\0')
        doctor_gather_dir(pid, d->options.record_dir, &ret->record);
}
