/* CPUs and memory for this process, see capacity.h. */
#include "capacity.h"

#include "log.h"
#include "look.h"
#include "runtime.h"

static const uint64_t cpus_every_ns = 500 * NS_PER_MS;

static struct {
    struct cpu_mask at_start; /* CPUs that the first thread might use; written at boot only */
    unsigned affinity;        /* how many they are */
    /* The rest is written under the look lock. The atomic fields are read by all; relaxed, as no
     * order matters. */
    uint64_t millicpus; /* the CPU quota as last read */
    _Atomic unsigned cpus;
    _Atomic uint64_t cpus_read_ns;
    /* Memory that the cgroup allows, in bytes, for PLIMSOLL_REPORT. */
    struct {
        _Atomic uint64_t ram, free, swap, swap_free;
        _Atomic uint64_t next_ns; /* when it is to be read anew */
    } memory;
} capacity = {.millicpus = UNLIMITED};

static void read_cpus(void)
{
    unsigned cpus = runtime.options.cpus;
    if (cpus == 0) {
        /* On failure (no descriptor left, another root directory) what was known stays. */
        (void)cgroup_read_cpu("", &look.usage.cgroup.cpu, &capacity.millicpus);
        cpus = cgroup_effective_cpus(capacity.affinity, capacity.millicpus);
    }
    atomic_store_explicit(&capacity.cpus, cpus, memory_order_relaxed);
}

static void read_memory(void)
{
    uint64_t start = sys_now_ns();
    struct memory_size now;
    usage_memory(&look.usage, &now);
    atomic_store_explicit(&capacity.memory.ram, now.ram, memory_order_relaxed);
    atomic_store_explicit(&capacity.memory.free, now.free, memory_order_relaxed);
    atomic_store_explicit(&capacity.memory.swap, now.swap, memory_order_relaxed);
    atomic_store_explicit(&capacity.memory.swap_free, now.swap_free, memory_order_relaxed);
    uint64_t end = sys_now_ns();
    uint64_t cost = end - start + look.usage.refresh_cost_ns;
    atomic_store_explicit(&capacity.memory.next_ns, end + usage_pause_ns(cost),
                          memory_order_relaxed);
}

/* Compares with the nearest limit, the only one for which bytes count. */
void capacity_complain(void)
{
    const struct usage *u = &look.usage;
    char line[256];
    struct fmt f = FMT_INIT(line);
    struct look_turn turn = look_begin(UINT64_MAX);
    uint64_t bytes = u->wish.kind == LIMIT_BYTES ? u->wish.value : 0;
    uint64_t hard = u->level_count > 0 ? u->levels[0].hard : u->ram;
    uint64_t soft = usage_soft(u);
    look_end(turn);
    if (bytes < hard)
        return;
    fmt_str(&f, "PLIMSOLL_LIMIT: ");
    fmt_bytes(&f, bytes);
    fmt_str(&f, " is too much, expected less than the hard limit of ");
    fmt_bytes(&f, hard);
    fmt_str(&f, "; ");
    fmt_bytes(&f, soft);
    fmt_str(&f, " is used, ");
    fmt_u64(&f, LIMITS_SOFT_MOST_PERCENT);
    fmt_str(&f, " % of that");
    log_line(LOG_WARN, line);
}

void capacity_begin(void)
{
    capacity.affinity = sys_affinity(&capacity.at_start);
    capacity_read();
}

const struct cpu_mask *capacity_cpus_at_start(void)
{
    return &capacity.at_start;
}

unsigned capacity_known_cpus(void)
{
    return atomic_load_explicit(&capacity.cpus, memory_order_relaxed);
}

void capacity_read(void)
{
    read_cpus();
    if (runtime.options.report_memory)
        read_memory();
}

/* Takes the look lock, if a reading is due and the lock is free, and brings what is known of the
 * cgroup up to date. */
static struct look_turn begin_reading(bool due)
{
    struct look_turn turn = {.had = false};
    if (due && !sys_on_signal_stack())
        turn = look_begin(0);
    if (turn.had)
        usage_refresh(&look.usage); /* the process may have been moved */
    return turn;
}

/* The quota may change at any time. The affinity is that of the start: threads may have narrowed
 * their own since, which says nothing of the process. The number of arenas stays. */
unsigned capacity_cpus(void)
{
    uint64_t now = sys_now_ns();
    uint64_t read = atomic_load_explicit(&capacity.cpus_read_ns, memory_order_relaxed);
    struct look_turn turn = begin_reading(runtime.options.cpus == 0 && now - read >= cpus_every_ns);
    if (turn.had) {
        read_cpus();
        atomic_store_explicit(&capacity.cpus_read_ns, now, memory_order_relaxed);
        look_end(turn);
    }
    return capacity_known_cpus();
}

bool capacity_reports_cpus(void)
{
    return runtime_configured() && runtime.options.report_cpus;
}

bool capacity_reports_memory(struct memory_size *ret)
{
    if (!runtime_configured() || !runtime.options.report_memory)
        return false;
    uint64_t next = atomic_load_explicit(&capacity.memory.next_ns, memory_order_relaxed);
    struct look_turn turn = begin_reading(sys_now_ns() >= next);
    if (turn.had)
        read_memory();
    look_end(turn);
    *ret = (struct memory_size){
        .ram = atomic_load_explicit(&capacity.memory.ram, memory_order_relaxed),
        .free = atomic_load_explicit(&capacity.memory.free, memory_order_relaxed),
        .swap = atomic_load_explicit(&capacity.memory.swap, memory_order_relaxed),
        .swap_free = atomic_load_explicit(&capacity.memory.swap_free, memory_order_relaxed),
    };
    return true;
}
