/*
 * Asks libc for CPUs and memory from every place where a program may, and prints key=value lines:
 * reported [all]
 *
 * early: from a constructor before the allocator's (see early_sizes.c; not in the static build).
 * child, grandchild: after fork. open_max, page: names that are nobody's but libc's. With "all"
 * small: in a signal handler on a stack of a few KiB; threads: the number of wrong answers that
 * threads got while others allocated and forked.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef WITH_EARLY
extern long early_cpus, early_cpus_again, early_pages;
extern int early_errno;
#endif

static long cpus_in_handler, pages_in_handler;

static void ask(int sig)
{
    (void)sig;
    cpus_in_handler = sysconf(_SC_NPROCESSORS_ONLN);
    pages_in_handler = sysconf(_SC_PHYS_PAGES);
}

/* The stack is twice the smallest that the kernel allows, with an inaccessible page below. */
static void ask_on_a_small_stack(void)
{
    size_t page = (size_t)getpagesize(), size = 2 * getauxval(AT_MINSIGSTKSZ);
    size = (size + page - 1) / page * page;
    char *at = mmap(NULL, size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    stack_t stack = {.ss_sp = at + page, .ss_size = size};
    struct sigaction action = {.sa_handler = ask, .sa_flags = SA_ONSTACK};
    if (at == MAP_FAILED || mprotect(at, page, PROT_NONE) != 0 || sigaltstack(&stack, NULL) != 0 ||
        sigaction(SIGUSR1, &action, NULL) != 0)
        abort();
    usleep(600 * 1000); /* until the last answers are old */
    raise(SIGUSR1);
    printf("small=%ld small_pages=%ld\n", cpus_in_handler, pages_in_handler);
}

static void ask_in_a_child(const char *key, int generations)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        printf("%s=%ld %s_pages=%ld\n", key, sysconf(_SC_NPROCESSORS_ONLN), key,
               sysconf(_SC_PHYS_PAGES));
        if (generations > 1)
            ask_in_a_child("grandchild", generations - 1);
        fflush(stdout);
        _exit(0);
    }
    int status;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
}

static long expected;
static _Atomic int wrong;

static void *ask_often(void *arg)
{
    struct sysinfo info;
    for (int i = 0; i < 5000; i++) {
        if (sysconf(_SC_NPROCESSORS_ONLN) != expected || get_nprocs() != expected ||
            sysinfo(&info) != 0 || info.freeram > info.totalram)
            atomic_fetch_add(&wrong, 1);
        free(malloc((size_t)i * 8 + 1));
    }
    return arg;
}

static void ask_in_threads(void)
{
    pthread_t threads[4];
    expected = sysconf(_SC_NPROCESSORS_ONLN);
    for (int i = 0; i < 4; i++) {
        if (pthread_create(&threads[i], NULL, ask_often, NULL) != 0)
            abort();
    }
    for (int i = 0; i < 20; i++) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(sysconf(_SC_NPROCESSORS_ONLN) == expected ? 0 : 1);
        int status = 0;
        if (waitpid(pid, &status, 0) != pid || status != 0)
            atomic_fetch_add(&wrong, 1);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    printf("threads=%d\n", atomic_load(&wrong));
}

static void ask_what_fails(void)
{
    errno = 0;
    long rc = sysconf(-1);
    printf("unknown=%ld unknown_errno=%d\n", rc, errno);
    errno = 0;
    rc = sysinfo((struct sysinfo *)(uintptr_t)1);
    printf("bad_pointer=%ld bad_pointer_errno=%d\n", rc, errno);
}

int main(int argc, char **argv)
{
    printf("secure=%lu\n", getauxval(AT_SECURE));
#ifdef WITH_EARLY
    printf("early=%ld early_again=%ld early_pages=%ld early_errno=%d\n", early_cpus,
           early_cpus_again, early_pages, early_errno);
#endif
    printf("onln=%ld conf=%ld nprocs=%d nprocs_conf=%d\n", sysconf(_SC_NPROCESSORS_ONLN),
           sysconf(_SC_NPROCESSORS_CONF), get_nprocs(), get_nprocs_conf());
    printf("pages=%ld open_max=%ld page=%ld\n", sysconf(_SC_PHYS_PAGES), sysconf(_SC_OPEN_MAX),
           sysconf(_SC_PAGESIZE));
    ask_what_fails();
    ask_in_a_child("child", 2);
    if (argc > 1 && strcmp(argv[1], "all") == 0) {
        ask_on_a_small_stack();
        ask_in_threads();
    }
    return 0;
}
