/*
 * What befalls programs and must not cost them their life near the limit, for one of 256 MiB.
 *   hardships descriptors     all descriptors in use, then changing size classes
 *   hardships numbers_to_63, numbers_to_3
 *                             few descriptors from the start, all wanted by the program itself
 *   hardships chroot          an empty root directory, then changing size classes
 *   hardships child_chroot    an empty root directory for a forked child, while its parent grows
 *   hardships first_ended     the first thread has ended, then changing size classes
 *   hardships large_request   a cache of 150 MiB, then a request of 150 MiB
 *   hardships touched_late    memory allocated at once and touched later, among free pages
 *   hardships freed_beside    much is freed at once, beside a mapping that takes most of the room
 *   hardships idle_children   children that hold free pages and sleep, a parent that needs them
 *   hardships shrink          a block made smaller when there is no room left
 *   hardships reused_number   the pressure descriptor closed, its number given to a file
 *   hardships reused_eventfd  likewise, to an eventfd
 *   hardships fork_and_purge  children forked while another thread purges
 * Prints what it saw as key=value, ok=1 at the end. Needs the library.
 */
#include "stats_now.h"

#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const size_t MIB = 1048576;
/* For what must happen sooner or later. */
static const double patience_s = 60;

/* Returns whether it came true. */
static bool wait_until(bool (*is_true)(void))
{
    for (double start = now_s(); now_s() - start < patience_s; sleep_s(0.02)) {
        if (is_true())
            return true;
    }
    return false;
}

/* --- blocks --- */

/* Fills `bytes` with blocks of one size, frees all but every keep_every-th and adds those to kept.
 */
static void leave_holes(size_t bytes, size_t size, size_t keep_every, struct block **kept)
{
    struct block *set = NULL, *next;
    for (size_t i = 0; i < bytes / size; i++) {
        struct block *block = block_must_have(size);
        block->next = set;
        set = block;
    }
    for (size_t i = 0; set; i++, set = next) {
        next = set->next;
        if (i % keep_every != 0) {
            free(set);
            continue;
        }
        set->next = *kept;
        *kept = set;
    }
}

static void check_and_free(struct block *set)
{
    for (struct block *next; set; set = next) {
        next = set->next;
        if (!block_is_intact(set))
            die("damaged block of %zu bytes", set->size);
        free(set);
    }
}

/* --- descriptors, chroot, child_chroot, first_ended --- */

/* Runs long enough that the limits, which are read once a second, are read again. */
static void work_a_while(void)
{
    for (double start = now_s(); now_s() - start < 2.5; sleep_s(0.01))
        free(block_must_have(2 * MIB));
}

static void change_sizes(void)
{
    struct block *kept = NULL;
    for (size_t size = 32 * 1024; size <= MIB; size *= 2)
        leave_holes(120 * MIB, size, 16, &kept);
    check_and_free(kept);
}

static void go_on(void)
{
    struct plim_limits limits = {.size = sizeof(limits)};
    work_a_while();
    plim_limits(&limits);
    printf("hard_mib=%.0f\n", (double)limits.hard / (double)MIB);
    change_sizes();
}

static void descriptors(void)
{
    struct block *live = block_must_have(30 * MIB);
    const struct rlimit few = {64, 64};
    if (setrlimit(RLIMIT_NOFILE, &few) != 0)
        die("cannot limit the descriptors");
    while (dup(STDIN_FILENO) >= 0)
        ;
    go_on();
    check_and_free(live);
}

/* Tries for a while, as another thread may have that number for a moment. */
static bool opens_the_lowest(void)
{
    for (double start = now_s(); now_s() - start < 2; sleep_s(0.001)) {
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        close(fd);
        if (fd == STDIN_FILENO)
            return true;
    }
    return false;
}

/* What the program opens must get the lowest free number, as without the library. */
static void open_among(rlim_t numbers)
{
    struct block *live = NULL;
    int low = 0;
    if (setrlimit(RLIMIT_NOFILE, &(struct rlimit){numbers, numbers}) != 0)
        die("cannot limit the descriptors");
    close(STDIN_FILENO);
    for (int i = 0; i < 64; i++) {
        struct block *block = block_must_have(MIB);
        block->next = live;
        live = block;
        low += opens_the_lowest();
    }
    printf("low=%d\n", low);
    go_on();
    check_and_free(live);
}

static void numbers_to_63(void)
{
    open_among(64);
}

static void numbers_to_3(void)
{
    open_among(4);
}

/* The directory is removed at once: it stays empty, and nothing is left behind. */
static bool change_root(void)
{
    char dir[] = "plim_root_XXXXXX";
    if (chdir("/tmp") != 0 || !mkdtemp(dir))
        die("cannot make a directory");
    int denied = chroot(dir);
    rmdir(dir);
    printf("denied=%d\n", denied != 0);
    if (denied == 0 && chdir("/") != 0)
        die("cannot enter the new root");
    return denied == 0;
}

static void go_on_elsewhere(void)
{
    struct block *live = block_must_have(30 * MIB);
    if (change_root())
        go_on();
    check_and_free(live);
}

/* The root of a child only, as in prefork servers. */
static void child_elsewhere(void)
{
    int rooted[2], grown[2];
    char byte = 0;
    struct block *live = block_must_have(30 * MIB);
    if (pipe(rooted) != 0 || pipe(grown) != 0)
        die("no pipes");
    pid_t pid = fork();
    if (pid == 0) {
        struct plim_limits limits = {.size = sizeof(limits)};
        bool denied = !change_root();
        if (write(rooted[1], &byte, 1) != 1 || read(grown[0], &byte, 1) != 1)
            _exit(1);
        plim_limits(&limits); /* makes a look */
        printf("usage_mib=%.0f\n", denied ? 0 : (double)stats_now().usage / (double)MIB);
        exit(0);
    }
    int status = -1;
    if (pid < 0 || read(rooted[0], &byte, 1) != 1)
        die("no child");
    struct block *more = block_must_have(100 * MIB);
    if (write(grown[1], &byte, 1) != 1 || waitpid(pid, &status, 0) != pid || status != 0)
        die("the child ended with %x", (unsigned)status);
    check_and_free(more);
    check_and_free(live);
}

/* /proc/self is the first thread's: once that has ended, it says 0 for memory, and the root for
 * cgroup v1. */
static bool first_has_ended(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    int first = file ? getc(file) : EOF;
    if (file)
        fclose(file);
    return first == '0';
}

static void *outlive(void *unused)
{
    if (!wait_until(first_has_ended))
        die("the first thread does not end");
    struct block *live = block_must_have(30 * MIB);
    go_on();
    printf("usage_mib=%.0f\n", (double)stats_now().usage / (double)MIB);
    check_and_free(live);
    puts("ok=1");
    exit(0);
    return unused;
}

static void end_first(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, outlive, NULL) != 0)
        die("cannot start a thread");
    pthread_exit(NULL);
}

/* --- a large request --- */

static struct block *cache;
static _Atomic unsigned cache_calls;
/* Hidden from the compiler, which may leave out writes to a block that it sees freed. */
static char *volatile big;

static size_t drop_cache(const struct plim_pressure *pressure, void *arg)
{
    (void)pressure;
    (void)arg;
    size_t freed = cache ? cache->size : 0;
    free(cache);
    cache = NULL;
    atomic_fetch_add(&cache_calls, 1);
    return freed;
}

static bool cache_is_dropped(void)
{
    return atomic_load(&cache_calls) > 0;
}

/* Should the reclaimer take longer than a request waits, the request may be refused and is then
 * repeated; or it is granted, and the block is not written to before the reclaimer is done. */
static void large_request(void)
{
    size_t ask = 150 * MIB;
    cache = block_must_have(150 * MIB);
    if (plim_reclaimer_add("cache", drop_cache, NULL, PLIM_MEDIUM) < 0)
        die("cannot add a reclaimer");
    printf("calls_before=%u\n", atomic_load(&cache_calls));
    big = malloc(ask);
    bool dropped = wait_until(cache_is_dropped);
    if (!big)
        big = malloc(ask);
    printf("dropped=%d served=%d\n", dropped, big != NULL);
    if (big)
        memset(big, 1, ask);
    free(big);
}

/* --- memory touched late --- */

static void touched_late(void)
{
    enum { BLOCKS = 110, SIZE = 1000 * 1000 };
    static char *volatile blocks[BLOCKS];
    struct block *kept = NULL;
    sleep_s(2); /* gathers CPU time that may be spent purging */
    leave_holes(150 * MIB, 48 * 1024, 2, &kept);
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(SIZE);
        if (!blocks[i])
            die("malloc failed");
    }
    for (int i = 0; i < BLOCKS; i++)
        memset(blocks[i], 1, SIZE);
    for (int i = 0; i < BLOCKS; i++)
        free(blocks[i]);
    check_and_free(kept);
}

/* --- freed beside a mapping --- */

static void freed_beside(void)
{
    enum { MAPPED_MIB = 140, HEAP_MIB = 50 };
    struct plim_stats stats = {.size = sizeof(stats)};
    struct block *none = NULL;
    char *mapped =
        mmap(NULL, MAPPED_MIB * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED)
        die("mmap failed");
    memset(mapped, 1, MAPPED_MIB * MIB);
    sleep_s(2); /* gathers CPU time that may be spent purging */
    leave_holes(HEAP_MIB * MIB, 16 * 1024, SIZE_MAX, &none);
    plim_stats(&stats); /* nothing was allocated since the frees */
    printf("free_mib=%.1f\n", (double)(stats.committed - stats.active) / (double)MIB);
}

/* --- idle children --- */

enum { CHILDREN = 8 };

static pid_t children[CHILDREN];

static _Noreturn void idle(int ready_fd)
{
    struct block *kept = NULL;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    leave_holes(13 * MIB, 8 * 1024, 16, &kept);
    if (write(ready_fd, "", 1) != 1)
        _exit(1);
    for (;;)
        pause();
}

/* A process's resident memory that it does not share, in MiB. */
static double resident_mib(pid_t pid)
{
    char text[128];
    double kib = 0;
    snprintf(text, sizeof(text), "/proc/%d/status", pid);
    FILE *file = fopen(text, "re");
    if (!file)
        die("no %s", text);
    while (fgets(text, sizeof(text), file)) {
        if (strncmp(text, "RssAnon:", 8) == 0)
            kib = strtod(text + 8, NULL);
    }
    fclose(file);
    return kib / 1024;
}

static double children_mib(void)
{
    double sum = 0;
    for (int i = 0; i < CHILDREN; i++)
        sum += resident_mib(children[i]);
    return sum;
}

static bool children_have_given(void)
{
    return children_mib() < CHILDREN * 5;
}

static void start_children(void)
{
    int ends[2];
    char byte;
    if (pipe(ends) != 0)
        die("pipe failed");
    for (int i = 0; i < CHILDREN; i++) {
        children[i] = fork();
        if (children[i] < 0)
            die("fork failed");
        if (children[i] == 0)
            idle(ends[1]);
    }
    for (int i = 0; i < CHILDREN; i++) {
        if (read(ends[0], &byte, 1) != 1)
            die("a child failed");
    }
}

static void idle_children(void)
{
    struct block *live = NULL;
    start_children();
    wait_until(children_have_given);
    printf("children_mib=%.0f\n", children_mib());
    leave_holes(150 * MIB, MIB - 8192, 1, &live);
    check_and_free(live);
    for (int i = 0; i < CHILDREN; i++) {
        kill(children[i], SIGKILL);
        waitpid(children[i], NULL, 0);
    }
}

/* --- a block made smaller --- */

/* Allocates blocks until one is refused, which happens before the kill under
 * PLIMSOLL_ON_LIMIT=fail. */
static struct block *fill_the_room(void)
{
    struct block *set = NULL, *block;
    size_t held;
    while ((block = block_new(2 * MIB, &held))) {
        block->next = set;
        set = block;
    }
    return set;
}

static void shrink(void)
{
    struct block *block = block_must_have(180 * MIB);
    struct block *rest = fill_the_room();
    struct block *smaller = realloc(block, 100 * MIB);
    printf("refused=%d\n", smaller == NULL);
    if (smaller)
        smaller->size = 0;
    free(smaller ? smaller : block);
    check_and_free(rest);
}

/* --- the number of the pressure descriptor --- */

static bool level_is_up(void)
{
    return plim_level() != PLIM_NORMAL;
}

static bool level_is_normal(void)
{
    return plim_level() == PLIM_NORMAL;
}

static void reuse_number(int file)
{
    int pressure_fd = plim_pressure_fd();
    uint64_t counted = 0;
    bool same = dup3(file, pressure_fd, O_CLOEXEC) == pressure_fd;
    struct block *live = block_must_have(235 * MIB);
    bool up = wait_until(level_is_up);
    free(live);
    malloc_trim(0);
    bool down = wait_until(level_is_normal); /* the first change is reported by then */
    (void)!read(file, &counted, sizeof(counted));
    printf("same=%d changed=%d bytes=%.0f\n", same, up && down,
           (double)lseek(file, 0, SEEK_END) + (double)counted);
}

static void reused_number(void)
{
    reuse_number(memfd_create("reused", MFD_CLOEXEC));
}

static void reused_eventfd(void)
{
    reuse_number(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

/* --- forks while a purge runs --- */

enum { PURGED_MIB = 16, FORKS = 120 };

static _Atomic bool stop;

static struct block *make_free_pages(void)
{
    struct block *kept = NULL;
    leave_holes(PURGED_MIB * MIB, 20000, 16, &kept);
    return kept;
}

static void *purge_always(void *arg)
{
    while (!atomic_load(&stop)) {
        struct block *kept = make_free_pages();
        malloc_trim(0);
        check_and_free(kept);
    }
    return arg;
}

static _Noreturn void purge_once(void)
{
    make_free_pages();
    malloc_trim(0);
    struct plim_stats stats = stats_now();
    _exit(stats.committed > stats.active + PURGED_MIB * MIB / 2);
}

static void fork_and_purge(void)
{
    pthread_t thread;
    int cannot = 0;
    if (pthread_create(&thread, NULL, purge_always, NULL) != 0)
        die("cannot start a thread");
    for (int i = 0; i < FORKS; i++) {
        int status = -1;
        sleep_s(0.0005 + 0.000007 * (i % 100)); /* so that forks come at any point of a purge */
        pid_t pid = fork();
        if (pid == 0)
            purge_once();
        if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
            cannot++;
    }
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    printf("cannot_purge=%d\n", cannot);
}

int main(int argc, char **argv)
{
    static const struct scenario scenarios[] = {
        {"descriptors", descriptors},
        {"numbers_to_63", numbers_to_63},
        {"numbers_to_3", numbers_to_3},
        {"chroot", go_on_elsewhere},
        {"child_chroot", child_elsewhere},
        {"first_ended", end_first},
        {"large_request", large_request},
        {"touched_late", touched_late},
        {"freed_beside", freed_beside},
        {"idle_children", idle_children},
        {"shrink", shrink},
        {"reused_number", reused_number},
        {"reused_eventfd", reused_eventfd},
        {"fork_and_purge", fork_and_purge},
    };
    setlinebuf(stdout);
    if (!plim_present())
        die("needs the library");
    scenario_run(scenarios, sizeof(scenarios) / sizeof(scenarios[0]), argc == 2 ? argv[1] : NULL);
    return 0;
}
