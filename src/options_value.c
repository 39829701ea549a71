/* What a value of each variable means, see options.h. */
#include "fmt.h"
#include "options_internal.h"

#include <errno.h>
#include <string.h>

enum {
    PERCENT = 1000, /* of the unit that options are kept in */
    CPUS_MAX = 4096,
};

/* Where value stands in a list such as "auto, on, off", from 0; -EINVAL if nowhere. */
static int word_index(const char *list, const char *value)
{
    size_t len = strlen(value);
    for (int i = 0;; i++) {
        size_t word = strcspn(list, ",");
        if (word == len && memcmp(list, value, len) == 0)
            return i;
        if (list[word] == '\0')
            return -EINVAL;
        list += word + strlen(", ");
    }
}

void options_word(enum option_id id, unsigned value, char ret[OPTION_WORD_MAX])
{
    const char *list = option_table[id].accepts;
    for (; value > 0; value--)
        list += strcspn(list, ",") + strlen(", ");
    size_t len = strcspn(list, ",");
    memcpy(ret, list, len);
    ret[len] = '\0';
}

/* For options whose enum numbers the table's words in their order. */
#define SET_WORD(id, value, field)                                                                 \
    ({                                                                                             \
        int index_ = word_index(option_table[id].accepts, value);                                  \
        if (index_ >= 0)                                                                           \
            (field) = (__typeof__(field))(unsigned)index_;                                         \
        index_ < 0 ? index_ : 0;                                                                   \
    })

static int set_limit(const char *value, struct options *ret)
{
    uint64_t v;
    if (strcmp(value, "off") == 0) {
        ret->wish.kind = LIMIT_OFF;
        ret->wish.value = 0;
        return 0;
    }
    if (fmt_parse_percent(value, &v) == 0) {
        if (v < 1 * PERCENT || v > 100 * PERCENT)
            return -EINVAL;
        ret->wish.kind = LIMIT_PERCENT;
        ret->wish.value = v;
        return 0;
    }
    if (fmt_parse_size(value, &v) < 0 || v < LIMIT_BYTES_MIN || v == UNLIMITED)
        return -EINVAL;
    ret->wish.kind = LIMIT_BYTES;
    ret->wish.value = v;
    return 0;
}

static int set_reclaim_cpu(const char *value, struct options *ret)
{
    uint64_t v;
    if (fmt_parse_percent(value, &v) < 0 || v < PERCENT / 10 || v > 100 * PERCENT)
        return -EINVAL;
    ret->reclaim_cpu = v;
    return 0;
}

static int set_cpus(const char *value, struct options *ret)
{
    const char *end;
    uint64_t v;
    if (strcmp(value, "auto") == 0) {
        ret->cpus = 0;
        return 0;
    }
    if (fmt_parse_u64(value, &end, &v) < 0 || *end != '\0' || v < 1 || v > CPUS_MAX)
        return -EINVAL;
    ret->cpus = (unsigned)v;
    return 0;
}

static int set_report(const char *value, struct options *ret)
{
    bool off = strcmp(value, "off") == 0, cpus = false, memory = false;
    while (!off) {
        size_t len = strcspn(value, ",");
        if (len == strlen("cpus") && strncmp(value, "cpus", len) == 0)
            cpus = true;
        else if (len == strlen("memory") && strncmp(value, "memory", len) == 0)
            memory = true;
        else
            return -EINVAL;
        if (value[len] == '\0')
            break;
        value += len + 1;
    }
    ret->report_cpus = cpus;
    ret->report_memory = memory;
    return 0;
}

int options_path(const char *value, char ret[OPTION_PATH_MAX])
{
    size_t len = strlen(value);
    while (len > 1 && value[len - 1] == '/')
        len--;
    if (value[0] != '/' || len >= OPTION_PATH_MAX)
        return -EINVAL;
    memcpy(ret, value, len);
    ret[len] = '\0';
    return 0;
}

static int set_stats(const char *value, struct options *ret)
{
    int word = word_index("auto, off", value);
    if (word < 0) {
        int rc = options_path(value, ret->stats_dir);
        if (rc == 0)
            ret->stats = STATS_DIR;
        return rc;
    }
    ret->stats = word == 0 ? STATS_AUTO : STATS_OFF;
    ret->stats_dir[0] = '\0';
    return 0;
}

static int set_record(const char *value, struct options *ret)
{
    if (strcmp(value, "off") != 0)
        return options_path(value, ret->record_dir);
    ret->record_dir[0] = '\0';
    return 0;
}

/* jemalloc takes powers of two: rounded up to the next. */
static int set_heap_profile(const char *value, struct options *ret)
{
    uint64_t v;
    if (strcmp(value, "off") == 0) {
        ret->heap_profile = 0;
        return 0;
    }
    if (fmt_parse_size(value, &v) < 0 || v < 4 * KiB || v > GiB)
        return -EINVAL;
    ret->heap_profile = 64 - (unsigned)__builtin_clzll(v - 1);
    return 0;
}

static int set_enabled(const char *value, struct options *ret)
{
    int word = word_index(option_table[OPTION_ENABLED].accepts, value);
    if (word < 0)
        return word;
    ret->enabled = word == 0;
    return 0;
}

int options_set(enum option_id id, const char *value, struct options *ret)
{
    switch (id) {
    case OPTION_ENABLED:
        return set_enabled(value, ret);
    case OPTION_LIMIT:
        return set_limit(value, ret);
    case OPTION_ON_LIMIT:
        return SET_WORD(id, value, ret->on_limit);
    case OPTION_RECLAIM_CPU:
        return set_reclaim_cpu(value, ret);
    case OPTION_PROFILE:
        return SET_WORD(id, value, ret->wish.profile);
    case OPTION_THREAD:
        return SET_WORD(id, value, ret->thread);
    case OPTION_CPUS:
        return set_cpus(value, ret);
    case OPTION_REPORT:
        return set_report(value, ret);
    case OPTION_THP:
        return SET_WORD(id, value, ret->thp);
    case OPTION_STATS:
        return set_stats(value, ret);
    case OPTION_RECORD:
        return set_record(value, ret);
    case OPTION_HEAP_PROFILE:
        return set_heap_profile(value, ret);
    case OPTION_NOTIFY:
        return SET_WORD(id, value, ret->notify);
    case OPTION_LOG:
        return SET_WORD(id, value, ret->log);
    case OPTION_COUNT:
        break;
    }
    return -EINVAL;
}
