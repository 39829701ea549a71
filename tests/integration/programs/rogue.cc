/*
 * Reclaimers that do what they should not, in a box of 256 MiB.
 *   rogue SCENARIO
 *     hangs, sleeps       does not return, returns after a while: others are called after it
 *     throws, aborts      ends the program
 *     ends_thread         pthread_exit(), each time it is called
 *     cancelled           is cancelled while it sleeps
 *     exits, exits_now    exit(), _exit(), with status 3
 *     forks               children that end inside, and that return
 *     allocates           70 MiB in all, 8 at a time, of growing sizes
 *     large_requests      asks for more than there is room for
 *     jumps               longjmp() to where the call itself has been
 *     edits               adds and removes others, and itself
 *     re_enters           plim_reclaim(), plim_limits(), plim_set_limit()
 *     wants_lock          waits for a lock that allocating threads hold
 *     signals             raises signals, to itself and to the process
 * Fills a cache that a well-behaved reclaimer lets go of, then, past the soft limit, allocates on.
 * Prints what it saw as key=value, ok=1 at the end. Needs the library.
 */
#define PLIM_OPTIONAL
#include <plimsoll.h>

extern "C" {
#include "workload.h"
}

#include <atomic>
#include <csetjmp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <malloc.h>
#include <mutex>
#include <pthread.h>
#include <stdexcept>
#include <sys/wait.h>
#include <unistd.h>

namespace
{

const size_t MIB = 1048576;
const double patience_s = 60;

std::atomic<unsigned> rogue_calls, rogue_returns, cache_calls, handled, looks_inside;
std::atomic<bool> let_go, refused;
std::atomic<int> child_status{-1}, rogue_id{-1};
std::atomic<pthread_t> caller;

template <typename Condition> bool wait_until(Condition is_true, double seconds = patience_s)
{
    for (double start = now_s(); now_s() - start < seconds; sleep_s(0.02)) {
        if (is_true())
            return true;
    }
    return false;
}

struct plim_stats stats_now()
{
    struct plim_stats stats = {};
    stats.size = sizeof(stats);
    plim_stats(&stats);
    return stats;
}

// --- a cache, and who lets go of it ---

pthread_mutex_t cache_lock = PTHREAD_MUTEX_INITIALIZER;
block *cache;

size_t drop_cache(const plim_pressure *p, void *)
{
    size_t freed = 0;
    cache_calls++;
    pthread_mutex_lock(&cache_lock);
    while (cache != nullptr && freed < p->target) {
        block *next = cache->next;
        freed += cache->size;
        free(cache);
        cache = next;
    }
    pthread_mutex_unlock(&cache_lock);
    return freed;
}

void fill_cache(size_t mib)
{
    for (size_t i = 0, held; i < mib * 16; i++) {
        block *added = block_new(MIB / 16, &held);
        if (added == nullptr)
            continue; // refused: some scenarios have that
        pthread_mutex_lock(&cache_lock);
        added->next = cache;
        cache = added;
        pthread_mutex_unlock(&cache_lock);
    }
}

// --- the rogues ---

size_t hangs(const plim_pressure *, void *)
{
    rogue_calls++;
    while (!let_go)
        sleep_s(0.01);
    rogue_returns++;
    return 0;
}

size_t throws(const plim_pressure *, void *)
{
    throw std::runtime_error("thrown by a reclaimer");
}

size_t aborts(const plim_pressure *, void *)
{
    abort();
}

size_t ends_thread(const plim_pressure *, void *)
{
    rogue_calls++;
    pthread_exit(nullptr);
}

size_t cancelled(const plim_pressure *, void *)
{
    caller = pthread_self();
    rogue_calls++;
    for (;;)
        pause();
}

size_t exits(const plim_pressure *, void *)
{
    exit(3);
}

size_t exits_now(const plim_pressure *, void *)
{
    _exit(3);
}

// The child has only this thread, which ends with the call, and so the child ends.
size_t forks(const plim_pressure *, void *)
{
    if (rogue_calls++ > 1)
        return 0;
    bool returns = rogue_calls > 1;
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        alarm(100);
        free(malloc(5 * MIB));
        if (returns)
            return 0;
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        status = 1;
    child_status = child_status == -1 ? status : child_status | status;
    return 0;
}

// Needs more than the room that is left unless free pages are given back: holes of one size are too
// small for the next.
size_t allocates(const plim_pressure *, void *)
{
    block *kept = nullptr, *set = nullptr, *next;
    uint64_t looks = stats_now().looks;
    rogue_calls++;
    for (size_t size = 32 * 1024, got; size <= MIB; size = size * 3 / 2 / 4096 * 4096) {
        for (size_t sum = 0; sum < 8 * MIB; sum += size) {
            block *added = block_new(size, &got);
            if (added == nullptr)
                continue;
            added->next = set;
            set = added;
        }
        for (unsigned i = 0; set != nullptr; i++, set = next) {
            next = set->next;
            if (i % 16 != 0) {
                free(set);
                continue;
            }
            set->next = kept;
            kept = set;
        }
    }
    for (; kept != nullptr; kept = next) {
        next = kept->next;
        free(kept);
    }
    looks_inside = unsigned(stats_now().looks - looks);
    rogue_returns++;
    return 0;
}

size_t large_requests(const plim_pressure *, void *)
{
    rogue_calls++;
    void *volatile block = malloc(200 * MIB);
    if (block == nullptr)
        refused = true;
    free(block);
    return 0;
}

size_t jumps(const plim_pressure *, void *)
{
    static jmp_buf back;
    rogue_calls++;
    if (setjmp(back) == 0)
        longjmp(back, 1);
    return 0;
}

size_t edits(const plim_pressure *, void *)
{
    unsigned calls = ++rogue_calls;
    int ids[64], count = 0;
    while (count < 64 && (ids[count] = plim_reclaimer_add("more", jumps, nullptr, PLIM_LOW)) >= 0)
        count++;
    while (count > 0) {
        if (plim_reclaimer_remove(ids[--count]) != 0)
            abort();
    }
    if (calls == 2 && plim_reclaimer_remove(rogue_id) != 0)
        abort();
    return 0;
}

size_t re_enters(const plim_pressure *, void *)
{
    struct plim_limits limits = {};
    limits.size = sizeof(limits);
    rogue_calls++;
    (void)plim_reclaim(UINT64_MAX);
    if (plim_limits(&limits) != 0 || plim_set_limit(0) != 0)
        abort();
    return 0;
}

pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;

size_t wants_lock(const plim_pressure *, void *)
{
    rogue_calls++;
    pthread_mutex_lock(&table_lock);
    pthread_mutex_unlock(&table_lock);
    rogue_returns++;
    return 0;
}

void on_signal(int)
{
    handled++;
}

size_t signals(const plim_pressure *, void *)
{
    rogue_calls++;
    raise(SIGUSR1);
    kill(getpid(), SIGUSR2);
    return 0;
}

// --- scenarios ---

// Goes past the soft limit and on, so that reclaimers are called, until the rogue has been.
void press_until_called()
{
    for (unsigned i = 0; i < 1000 && rogue_calls == 0; i++) {
        fill_cache(1);
        sleep_s(0.002);
    }
}

void press_on()
{
    for (unsigned i = 0; i < 40; i++) {
        fill_cache(8);
        sleep_s(0.01);
    }
}

// Only the rogue could have given memory back, so that the program must live on free pages alone.
void live_without_the_cache(double seconds)
{
    for (double start = now_s(); now_s() - start < seconds;) {
        block *held = nullptr;
        size_t got;
        for (unsigned i = 0; i < 60; i++) {
            block *added = block_new(16 * 1024, &got);
            if (added == nullptr)
                die("malloc failed");
            added->next = held;
            held = added;
        }
        for (block *next; held != nullptr; held = next) {
            next = held->next;
            free(held);
        }
    }
}

void stays_away()
{
    press_until_called();
    unsigned before = cache_calls;
    live_without_the_cache(3);
    unsigned wakeups = (unsigned)stats_now().watcher_wakeups;
    bool watched = wait_until([=] { return stats_now().watcher_wakeups > wakeups + 1; });
    printf("rogue_calls=%u others_meanwhile=%u watched=%d\n", rogue_calls.load(),
           cache_calls - before, watched);
}

void comes_back()
{
    unsigned before = cache_calls;
    stays_away();
    let_go = true;
    bool returned = wait_until([] { return rogue_returns > 0; });
    bool others = wait_until([=] {
        fill_cache(8);
        return cache_calls > before;
    });
    printf("returned=%d others_after=%d\n", returned, others);
}

void is_told_of()
{
    press_until_called();
    wait_until(
        [] {
            live_without_the_cache(0.1);
            return false;
        },
        12);
}

void comes_to_its_end()
{
    press_until_called();
    bool returned = wait_until([] { return rogue_returns > 0; });
    printf("returned=%d looks=%u\n", returned, looks_inside.load());
}

void is_cancelled()
{
    press_until_called();
    pthread_cancel(caller);
    wait_until([] {
        fill_cache(8);
        return rogue_calls > 1;
    });
    pthread_cancel(caller);
    printf("again=%d\n", rogue_calls > 1);
}

// The rogue is called again, each time by another thread, and so are the other reclaimers.
void loses_threads()
{
    bool again = wait_until([] {
        fill_cache(8);
        return rogue_calls > 2 && cache_calls > 2;
    });
    printf("again=%d\n", again);
}

void is_edited()
{
    bool twice = wait_until([] {
        fill_cache(8);
        return rogue_calls >= 2;
    });
    unsigned before = cache_calls;
    bool others = wait_until([=] {
        fill_cache(8);
        return cache_calls > before + 2;
    });
    printf("twice=%d others=%d calls=%u\n", twice, others, rogue_calls.load());
}

void is_signalled()
{
    press_until_called();
    bool came = wait_until([] { return handled > 0; });
    printf("handled=%d\n", came);
}

// Holds the lock while it allocates at the limit, as for a table that grows.
void *hold_lock_and_allocate(void *)
{
    while (!let_go) {
        pthread_mutex_lock(&table_lock);
        fill_cache(2);
        pthread_mutex_unlock(&table_lock);
        sleep_s(0.001);
    }
    return nullptr;
}

void fights_for_a_lock()
{
    pthread_t threads[4];
    for (pthread_t &thread : threads) {
        if (pthread_create(&thread, nullptr, hold_lock_and_allocate, nullptr) != 0)
            die("cannot start a thread");
    }
    bool returned = wait_until([] { return rogue_returns > 3; });
    let_go = true;
    for (pthread_t thread : threads)
        pthread_join(thread, nullptr);
    printf("returned=%d\n", returned);
}

void is_called()
{
    press_until_called();
    press_on();
    printf("rogue_calls=%u child_status=%d refused=%d\n", rogue_calls.load(), child_status.load(),
           refused.load());
}

} // namespace

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        plim_reclaim_fn *fn;
        void (*run)();
    } scenarios[] = {
        {"hangs", hangs, stays_away},
        {"sleeps", hangs, comes_back},
        {"hangs_long", hangs, is_told_of},
        {"throws", throws, press_on},
        {"aborts", aborts, press_on},
        {"ends_thread", ends_thread, loses_threads},
        {"cancelled", cancelled, is_cancelled},
        {"exits", exits, press_on},
        {"exits_now", exits_now, press_on},
        {"forks", forks, is_called},
        {"allocates", allocates, comes_to_its_end},
        {"large_requests", large_requests, is_called},
        {"jumps", jumps, is_called},
        {"edits", edits, is_edited},
        {"re_enters", re_enters, is_called},
        {"wants_lock", wants_lock, fights_for_a_lock},
        {"signals", signals, is_signalled},
    };
    setlinebuf(stdout);
    signal(SIGUSR1, on_signal);
    signal(SIGUSR2, on_signal);
    if (!plim_present())
        die("needs the library");
    for (const auto &scenario : scenarios) {
        if (argc < 2 || strcmp(argv[1], scenario.name) != 0)
            continue;
        rogue_id = plim_reclaimer_add("rogue", scenario.fn, nullptr, PLIM_MEDIUM);
        if (rogue_id < 0 || plim_reclaimer_add("cache", drop_cache, nullptr, PLIM_MEDIUM) < 0)
            die("cannot add a reclaimer");
        scenario.run();
        printf("ok=1\n");
        return 0;
    }
    die("no such scenario");
}
