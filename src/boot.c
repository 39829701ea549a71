/* The first call of all, the start of the program and its end, see runtime.h. */
#include "runtime.h"

#include "account.h"
#include "admit.h"
#include "arenas.h"
#include "capacity.h"
#include "heap_profile.h"
#include "inside.h"
#include "je.h"
#include "log.h"
#include "look.h"
#include "notify.h"
#include "pages.h"
#include "publish.h"
#include "reclaimers.h"
#include "record.h"
#include "watcher.h"

#include <errno.h>

struct runtime runtime;

/* initial-exec: reached by one instruction, and never allocated on first use. */
_Thread_local struct thread_state thread_state __attribute__((tls_model("initial-exec")));

static void complain(void *arg, const char *line)
{
    (void)arg;
    log_line(LOG_WARN, line);
}

/* Set by read_options(): before libc's own start there is no environment. */
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

static bool keeps_off_huge_pages(void)
{
    bool limited = look.usage.level_count > 0;
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
    governor_init(&look.governor, &runtime.options, sys_now_ns());
    return PHASE_READY;
}

/* Bytes committed until the first look, see first_look. */
static uint64_t until_first_look(void)
{
    const struct usage *u = &look.usage;
    uint64_t most = cgroup_effective_bytes(&u->memory, u->ram);
    if (u->wish.kind == LIMIT_BYTES)
        most = u64_min(most, u->wish.value);
    return JE_NEEDS_HOOKS ? 0 : u64_clamp(most / 1024, first_look, 2 * first_look);
}

/* false: has begun already. Calls of the thread that configures pass through, others wait. */
static bool configure_begin(void)
{
    uint32_t none = PHASE_NONE;
    if (atomic_compare_exchange_strong_explicit(&runtime.phase, &none, PHASE_CONFIGURING,
                                                memory_order_acq_rel, memory_order_acquire)) {
        atomic_store_explicit(&runtime.boot_tid, sys_tid(), memory_order_relaxed);
        return true;
    }
    while (atomic_load_explicit(&runtime.phase, memory_order_acquire) == PHASE_CONFIGURING &&
           atomic_load_explicit(&runtime.boot_tid, memory_order_relaxed) != sys_tid())
        sys_give_way();
    return false;
}

void runtime_configure(void)
{
    if (!configure_begin())
        return;
    read_options(&runtime.options, NULL);
    log_set_level(runtime.options.log);
    if (runtime.options.enabled) {
        usage_init(&look.usage, &runtime.options.wish);
        capacity_begin();
        pages_avoid_huge(keeps_off_huge_pages());
        inside_count_pages();
    }
    conf_build();
    atomic_store_explicit(&admit.stop_at, UINT64_MAX, memory_order_relaxed);
    if (runtime.options.enabled)
        account_look_after(until_first_look(), GATE_OPEN);
    else
        gate_set(GATE_OFF);
    atomic_store_explicit(&runtime.phase, runtime.options.enabled ? PHASE_CONFIGURED : PHASE_OFF,
                          memory_order_release);
}

static void boot(void)
{
    uint32_t configured = PHASE_CONFIGURED;
    runtime_configure();
    if (inside_is_starting() ||
        atomic_load_explicit(&runtime.phase, memory_order_acquire) != PHASE_CONFIGURED)
        return;
    /* The lock keeps out other threads' forks: their children could not go on from here. */
    struct look_turn turn = look_begin(UINT64_MAX);
    if (!atomic_compare_exchange_strong_explicit(&runtime.phase, &configured, PHASE_TAKING_OVER,
                                                 memory_order_acq_rel, memory_order_acquire)) {
        look_end(turn);
        return;
    }
    enum phase end = take_over();
    atomic_store_explicit(&runtime.phase, end, memory_order_release);
    look_end(turn);
    if (end == PHASE_OFF)
        gate_set(GATE_OFF);
    else
        account_look_now();
}

bool runtime_configured(void)
{
    if (unlikely(atomic_load_explicit(&runtime.phase, memory_order_relaxed) == PHASE_NONE)) {
        int saved_errno = errno;
        runtime_configure();
        errno = saved_errno;
    }
    uint32_t phase = atomic_load_explicit(&runtime.phase, memory_order_acquire);
    return phase >= PHASE_CONFIGURED && phase != PHASE_OFF;
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

/* The first call came before libc knew the environment, and went by the defaults: what follows from
 * the options is set anew, except jemalloc's settings (the number of arenas, heap profiles) where
 * it has started. */
static void apply_options(const struct options *options)
{
    struct look_turn turn = look_begin(UINT64_MAX);
    runtime.options = *options;
    log_set_level(options->log);
    usage_set_wish(&look.usage, &options->wish);
    capacity_read();
    conf_build();
    pages_avoid_huge(keeps_off_huge_pages());
    governor_init(&look.governor, options, sys_now_ns());
    look_end(turn);
    if (!options->enabled) {
        atomic_store_explicit(&runtime.phase, PHASE_OFF, memory_order_release);
        gate_set(GATE_OFF);
    }
}

static void complain_of_profiles(const struct options *o)
{
    if (o->heap_profile > 0 && !heap_profile_is_on())
        log_line(LOG_WARN, "PLIMSOLL_HEAP_PROFILE: memory was asked for before the environment was "
                           "known, expected no sooner; there are no heap profiles");
}

/* Whoever names a place for the stats page expects it to be there at once. */
static void look_first(void)
{
    struct governor_input in;
    struct governor_decision d;
    (void)look_once(UINT64_MAX, 0, &in, &d);
}

/* Starts the watcher at once where it does not depend on the heap's size: it writes the flight
 * records, none of which is to be missed, and profiles, which may be asked for at any time, and
 * passes on what a service manager tells. */
static void start_watching(const struct options *o)
{
    bool records = o->record_dir[0] != '\0';
    record_check(o);
    if (records)
        atomic_store_explicit(&runtime.listeners, true, memory_order_relaxed);
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
    if (atomic_load_explicit(&runtime.phase, memory_order_acquire) == PHASE_OFF)
        return;
    fork_begin();
    if (!known)
        complain_of_profiles(&again);
    atomic_store_explicit(&runtime.pid, sys_pid(), memory_order_relaxed);
    watcher_measure();
    atomic_store_explicit(&runtime.late, true, memory_order_release);
    notify_begin(&runtime.options);
    capacity_complain();
    start_watching(&runtime.options);
    if (runtime.options.stats == STATS_DIR && runtime_ready())
        look_first();
}

__attribute__((destructor)) static void on_exit_(void)
{
    atomic_store_explicit(&runtime.exiting, true, memory_order_relaxed);
    reclaimers_stop();
    /* This may run in a signal handler that has interrupted this thread's look. */
    struct look_turn turn = look_begin_unless_own(NS_PER_S);
    if (lock_is_own(&look.lock))
        publish_end();
    look_end(turn);
}
