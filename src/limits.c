/* Thresholds from what was found, see limits.h. */
#include "limits.h"

/* How far below the soft limit purging starts, in percent of the hard limit. */
static const uint64_t low_points[] = {
    [PROFILE_RELAXED] = 2, [PROFILE_BALANCED] = 5, [PROFILE_TIGHT] = 15};

const struct limits limits_none = {LIMITS_NONE, UNLIMITED, UNLIMITED, UNLIMITED, UNLIMITED};

static uint64_t percent_of(uint64_t whole, uint64_t milli_percent)
{
    return u64_share(whole, milli_percent, 100 * 1000);
}

struct limits limits_from_hard(enum limits_source source, uint64_t hard,
                               const struct limit_wish *wish)
{
    if (hard == UNLIMITED || source == LIMITS_NONE || wish->kind == LIMIT_OFF)
        return limits_none;
    /* Room that must stay between the soft limit and the kernel's: a look comes only after some
     * growth, and the kernel counts in batches. */
    uint64_t soft_max = percent_of(hard, LIMITS_SOFT_MOST_PERCENT * 1000);
    uint64_t soft = wish->kind == LIMIT_BYTES ? wish->value : percent_of(hard, wish->value);
    soft = u64_min(soft, soft_max);
    return (struct limits){
        .source = source,
        .hard = hard,
        .soft = soft,
        .low = soft - u64_min(percent_of(hard, low_points[wish->profile] * 1000), soft / 4),
        .critical = soft + (hard - soft) / 2,
    };
}

struct limits limits_of_level(bool nearest, uint64_t hard, const struct limit_wish *wish)
{
    struct limit_wish w = *wish;
    if (!nearest && w.kind == LIMIT_BYTES) {
        w.kind = LIMIT_PERCENT;
        w.value = LIMIT_PERCENT_DEFAULT;
    }
    return limits_from_hard(LIMITS_CGROUP, hard, &w);
}

struct limits limits_alone(uint64_t ram, const struct limit_wish *wish)
{
    if (wish->kind != LIMIT_BYTES)
        return limits_from_hard(LIMITS_MACHINE, ram, wish);
    /* The hard limit is one of which these bytes are the default share. */
    uint64_t bytes = wish->value, hard = UNLIMITED;
    if (bytes < UNLIMITED / 2)
        hard = u64_share(bytes, 100 * 1000, LIMIT_PERCENT_DEFAULT);
    return limits_from_hard(LIMITS_PROCESS, u64_min(hard, ram), wish);
}

struct memory_size limits_memory(const struct memory_size *host, const struct memory_size *group)
{
    struct memory_size m = {
        .ram = u64_min(host->ram, group->ram),
        .swap = u64_min(host->swap, group->swap),
    };
    m.free = u64_min(m.ram, u64_min(host->free, group->free));
    m.swap_free = u64_min(m.swap, u64_min(host->swap_free, group->swap_free));
    return m;
}
