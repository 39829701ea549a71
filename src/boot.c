/* The first call of all, fork and exit, see runtime.h. */
#include "runtime.h"

#include "arenas.h"
#include "heap_profile.h"
#include "je.h"
#include "log.h"
#include "notify.h"
#include "pages.h"
#include "publish.h"
#include "reclaimers.h"
#include "record.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct runtime runtime = {.stop_at = UINT64_MAX};

/* initial-exec: reached by one instruction, and never allocated on first use. */
_Thread_local struct thread_state thread_state __attribute__((tls_model("initial-exec")));

/* jemalloc's settings, built before its first call. It reads them, then MALLOC_CONF, which wins. */
static char conf[2048];
const char *je_malloc_conf = conf;

/* A program made for jemalloc may define this one; it comes after ours. */
PLIM_EXPORT const char *malloc_conf __attribute__((weak));

static void complain(void *arg, const char *line)
{
    (void)arg;
    log_line(LOG_WARN, line);
}

/* As of the last read_options: before libc's own start there is none. */
static bool environment_known;

/* Complaints wait for the constructor: this may run before stderr belongs to the program. */
static void read_options(struct options *ret, options_complain_fn *told)
{
    extern char **environ;
    const char *const *env = sys_is_secure() ? NULL : (const char *const *)environ;
    environment_known = environ != NULL;
    options_parse(env, ret, told, NULL);
    if (sys_is_secure())
        ret->stats = STATS_OFF; /* no file in the name of another user */
}

/* One arena per usable CPU: more only keep free pages apart from each other. */
static void build_conf(struct fmt *f)
{
    je_no_cache_oblivious(); /* a page less for every block from 16 KiB on */
    fmt_str(f, "narenas:");
    fmt_u64(f, atomic_load_explicit(&runtime.cpus, memory_order_relaxed));
    /* max_active_fit: free runs of up to 512 times a request are split for it, not 64: reused
     * sooner. */
    fmt_str(f, ",muzzy_decay_ms:0,lg_extent_max_active_fit:9");
    /* By default a thread may keep 20 free blocks and more of each size up to 32 KiB: 3 MiB, which
     * only the thread itself can give back. */
    if (runtime.usage.memory.hard <= GiB)
        fmt_str(f, ",tcache_max:8192,tcache_nslots_small_min:4");
    else /* threads that share an arena have four locks a size, and more half-filled slabs */
        fmt_str(f, ",bin_shards:1-1024:4");
    if (JE_NEEDS_HOOKS)
        fmt_str(f, ",oversize_threshold:0"); /* that arena is made later, and without hooks */
    if (runtime.options.heap_profile > 0) {
        fmt_str(f, ",prof:true,lg_prof_sample:");
        fmt_u64(f, runtime.options.heap_profile);
    }
}

/* The program's own settings come last, so that they win. */
static void append_malloc_conf(struct fmt *f)
{
    if (malloc_conf == NULL)
        return;
    if (f->len > 0)
        fmt_str(f, ",");
    fmt_str(f, malloc_conf);
}

static bool keeps_off_huge_pages(void)
{
    bool limited = runtime.usage.level_count > 0;
    return runtime.options.thp == THP_NEVER || (runtime.options.thp == THP_AUTO && limited);
}

static enum phase take_over(void)
{
    int rc = arenas_init();
    if (rc != 0) {
        log_line(LOG_ERROR, "jemalloc lacks a control that is needed; nothing is watched");
        return PHASE_OFF;
    }
    heap_profile_begin();
    governor_init(&runtime.governor, &runtime.options, sys_now_ns());
    return PHASE_READY;
}

/* Others that call meanwhile: this very thread passes through, another waits. */
static bool configure_begin(void)
{
    uint32_t none = PHASE_NONE;
    if (atomic_compare_exchange_strong(&runtime.phase, &none, PHASE_CONFIGURING)) {
        atomic_store(&runtime.boot_tid, sys_tid());
        return true;
    }
    while (atomic_load_explicit(&runtime.phase, memory_order_acquire) == PHASE_CONFIGURING &&
           atomic_load(&runtime.boot_tid) != sys_tid())
        sys_yield();
    return false;
}

/* Small programs end before this, and never need jemalloc's controls: they are found at the first
 * look, and cost 100 KiB. */
static const uint64_t first_look = MiB;

void runtime_configure(void)
{
    struct fmt settings = FMT_INIT(conf);
    if (!configure_begin())
        return;
    read_options(&runtime.options, NULL);
    log_set_level(runtime.options.log);
    if (runtime.options.enabled) {
        usage_init(&runtime.usage, &runtime.options);
        runtime.affinity = sys_affinity(&runtime.cpus_at_start);
        runtime.millicpus = UNLIMITED;
        capacity_init();
        build_conf(&settings);
        pages_avoid_huge(keeps_off_huge_pages());
        je_count_pages();
    }
    append_malloc_conf(&settings);
    if (runtime.options.enabled)
        account_look_after(JE_NEEDS_HOOKS ? 0 : first_look, GATE_OPEN);
    else
        gate_set(GATE_OFF);
    atomic_store_explicit(&runtime.phase, runtime.options.enabled ? PHASE_CONFIGURED : PHASE_OFF,
                          memory_order_release);
}

static void boot(void)
{
    uint32_t configured = PHASE_CONFIGURED;
    runtime_configure();
    if (je_is_starting() ||
        atomic_load_explicit(&runtime.phase, memory_order_acquire) != PHASE_CONFIGURED)
        return;
    lock_take(&runtime.look_lock); /* forks wait for it: a child could not go on from here */
    if (!atomic_compare_exchange_strong(&runtime.phase, &configured, PHASE_TAKING_OVER)) {
        lock_release(&runtime.look_lock);
        return;
    }
    enum phase end = take_over();
    atomic_store_explicit(&runtime.phase, end, memory_order_release);
    lock_release(&runtime.look_lock);
    if (end == PHASE_OFF)
        gate_set(GATE_OFF);
    else
        account_look_now();
}

bool runtime_ready(void)
{
    if (unlikely(atomic_load_explicit(&runtime.phase, memory_order_acquire) < PHASE_TAKING_OVER)) {
        int saved_errno = errno;
        boot();
        errno = saved_errno;
    }
    return atomic_load_explicit(&runtime.phase, memory_order_acquire) == PHASE_READY;
}

/* Another thread's purge ends within this, however much it gives back and however busy the machine.
 */
static const uint64_t purge_lasts_ns = 30 * NS_PER_S;

/* Not in the middle of a purge: the child would find jemalloc's arena marked as being purged for
 * ever. Within a time only, and a short one where a signal handler forks in the middle of this
 * thread's own look.
 */
static void fork_prepare(void)
{
    uint64_t patience_ns = thread_state.inside ? NS_PER_S : purge_lasts_ns;
    thread_state.fork_holds_look_lock = lock_take_within(&runtime.look_lock, patience_ns);
    reclaimers_fork_prepare();
    events_fork_prepare(&runtime.watcher.events);
    thread_state.fork_was_inside = thread_state.inside;
    thread_state.inside = true; /* other handlers may allocate */
}

static void fork_parent(void)
{
    thread_state.inside = thread_state.fork_was_inside;
    events_fork_parent(&runtime.watcher.events);
    reclaimers_fork_parent();
    if (thread_state.fork_holds_look_lock)
        lock_release(&runtime.look_lock);
}

/* Most children allocate little and end: they are not worth a look, unless the heap mattered in the
 * parent or the limit is near. Nor is any process looked at before its first MiB; where there is
 * less room, dozens of children are to fit into it before they look. */
static void look_in_child(bool watched)
{
    uint64_t usage = atomic_load_explicit(&runtime.counters.usage, memory_order_relaxed);
    uint64_t room =
        runtime.limits.source == LIMITS_NONE ? UNLIMITED : u64_less(runtime.limits.low, usage);
    if (watched || atomic_load_explicit(&runtime.level, memory_order_relaxed) != PLIM_NORMAL)
        account_look_now();
    else
        account_look_after(u64_clamp(room / 64, first_look / 16, first_look), GATE_OPEN);
}

/* Only the forking thread is left. It may be anywhere but in a look: looks do not fork. */
static void fork_child(void)
{
    bool watched = watcher_runs() || atomic_load(&runtime.listeners);
    thread_state.inside = thread_state.fork_was_inside;
    atomic_store_explicit(&runtime.held, 0, memory_order_relaxed); /* they were the parent's */
    reclaimers_fork_child();
    lock_reset(&runtime.look_lock);
    atomic_store(&runtime.pid, sys_pid());
    watcher_fork_child();
    pressure_fd_fork_child();
    notify_fork_child();
    publish_fork_child(account_committed());
    atomic_store_explicit(&account.peak, (int64_t)account_committed(), memory_order_relaxed);
    record_fork_child();
    if (atomic_load_explicit(&runtime.phase, memory_order_relaxed) != PHASE_READY)
        return;
    arenas_fork_child();
    usage_close_files(&runtime.usage);
    runtime.refreshed_ns = 1; /* long ago: it may be moved to another cgroup */
    look_in_child(watched);
}

/* The first call came before libc knew the environment: what it decided by the defaults is changed,
 * but for the number of arenas. */
static void apply_options(const struct options *options)
{
    lock_take(&runtime.look_lock);
    runtime.options = *options;
    log_set_level(options->log);
    runtime.usage.options = *options;
    usage_set_soft(&runtime.usage, options, 0);
    capacity_init();
    pages_avoid_huge(keeps_off_huge_pages());
    governor_init(&runtime.governor, options, sys_now_ns());
    lock_release(&runtime.look_lock);
    if (!options->enabled) {
        atomic_store(&runtime.phase, PHASE_OFF);
        gate_set(GATE_OFF);
    }
}

/* Whoever names a place for the stats page expects it to be there at once. */
static void look_first(void)
{
    struct governor_input in;
    struct governor_decision d;
    lock_take(&runtime.look_lock);
    look_locked(0, false, &in, &d);
    lock_release(&runtime.look_lock);
}

/* The watcher from the start, where it is not for the heap's size to decide: it writes the records,
 * none of which is to be missed, and the profiles that are asked for at any time, and it passes on
 * what a service manager tells. */
static void start_watching(const struct options *o)
{
    bool records = o->record_dir[0] != '\0';
    record_check(o);
    if (records)
        atomic_store(&runtime.listeners, true);
    bool relays = notify_outer() != NULL;
    if ((o->thread == THREAD_ON || records || o->heap_profile > 0 || relays) && runtime_ready())
        watcher_start();
}

/* 101: before jemalloc's own constructor, which would start it without our settings. */
__attribute__((constructor(101))) static void on_load(void)
{
    struct options again;
    runtime_configure();
    log_begin();
    bool known = environment_known;
    read_options(&again, complain);
    if (!known)
        apply_options(&again);
    if (atomic_load(&runtime.phase) == PHASE_OFF)
        return;
    /* jemalloc starts and registers its own handlers: ours must run before they take its locks. */
    je_free(je_malloc(1));
    pthread_atfork(fork_prepare, fork_parent, fork_child);
    atomic_store(&runtime.pid, sys_pid());
    watcher_measure();
    atomic_store(&runtime.late, true);
    notify_begin(&runtime.options);
    capacity_complain();
    start_watching(&runtime.options);
    if (runtime.options.stats == STATS_DIR && runtime_ready())
        look_first();
}

__attribute__((destructor)) static void on_exit_(void)
{
    atomic_store(&runtime.exiting, true);
    reclaimers_stop(NS_PER_S);
    if (lock_take_within(&runtime.look_lock, NS_PER_S)) {
        publish_end();
        lock_release(&runtime.look_lock);
    }
}
