/*
 * The environment variables, see options.h. Runs inside the first malloc: no stdio, no heap, no
 * lock, and the environment is read as it was handed over, never through libc.
 */
#include "options.h"

#include "fmt.h"

#include <errno.h>
#include <string.h>

enum {
    PERCENT = 1000, /* of the unit that options are kept in */
    CPUS_MAX = 4096,
    NAME_MAX_LEN = 40,  /* longer names are never near one of ours */
    SHOWN_MAX = 64,     /* bytes of a name or value that a complaint repeats */
    LINE_MAX_LEN = 512, /* a whole complaint */
    NEAR_ENOUGH = 3,    /* edits that still count as a slip */
};

/* Less than this cannot hold even an idle heap: "90" is a forgotten percent sign. */
#define LIMIT_BYTES_MIN MiB

static const char prefix[] = "PLIMSOLL";

const struct option_info option_table[OPTION_COUNT] = {
#define X(id, variable, initial, values, meaning)                                                  \
    {.name = (variable), .fallback = (initial), .accepts = (values), .help = (meaning)},
    OPTIONS_TABLE(X)
#undef X
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

/* For the options whose enum counts the words of the table in their order. */
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
        ret->limit_kind = LIMIT_OFF;
        ret->limit = 0;
        return 0;
    }
    if (fmt_parse_percent(value, &v) == 0) {
        if (v < 1 * PERCENT || v > 100 * PERCENT)
            return -EINVAL;
        ret->limit_kind = LIMIT_PERCENT;
        ret->limit = v;
        return 0;
    }
    if (fmt_parse_size(value, &v) < 0 || v < LIMIT_BYTES_MIN || v == UNLIMITED)
        return -EINVAL;
    ret->limit_kind = LIMIT_BYTES;
    ret->limit = v;
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

/* An absolute path that is short enough, without a slash at its end. */
static int set_path(const char *value, char ret[OPTION_PATH_MAX])
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
        int rc = set_path(value, ret->stats_dir);
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
        return set_path(value, ret->record_dir);
    ret->record_dir[0] = '\0';
    return 0;
}

/* jemalloc takes powers of two: the next one. */
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
        return SET_WORD(id, value, ret->profile);
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

/* Text of the user's inside a complaint: cut, and still one line. */
static void fmt_shown(struct fmt *f, const char *s, size_t len)
{
    size_t shown = len > SHOWN_MAX ? SHOWN_MAX : len;
    for (size_t i = 0; i < shown; i++) {
        unsigned char c = (unsigned char)s[i];
        fmt_strn(f, c < ' ' || c == 0x7f ? "?" : &s[i], 1);
    }
    fmt_str(f, shown < len ? "..." : "");
}

static void fmt_quoted(struct fmt *f, const char *s)
{
    fmt_str(f, "\"");
    fmt_shown(f, s, strlen(s));
    fmt_str(f, "\"");
}

static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

/* How many characters to insert, drop or change to make b of a, upper case or not; lengths up to
 * NAME_MAX_LEN. */
static unsigned edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    unsigned row[NAME_MAX_LEN + 1];
    for (unsigned j = 0; j <= b_len; j++)
        row[j] = j;
    for (size_t i = 0; i < a_len; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i + 1;
        for (size_t j = 0; j < b_len; j++) {
            unsigned change = diagonal + (upper(a[i]) != b[j]);
            unsigned other = (row[j] < row[j + 1] ? row[j] : row[j + 1]) + 1;
            diagonal = row[j + 1];
            row[j + 1] = change < other ? change : other;
        }
    }
    return row[b_len];
}

/* The variable that was probably meant, with at most half of its own part wrong; NULL: none. */
static const char *nearest_name(const char *name, size_t len)
{
    const char *nearest = NULL;
    size_t best = NEAR_ENOUGH + 1;
    if (len > NAME_MAX_LEN)
        return NULL;
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const char *known = option_table[i].name;
        size_t known_len = strlen(known);
        size_t own_part = u64_less(known_len, sizeof(prefix)); /* behind "PLIMSOLL_" */
        size_t distance = edit_distance(name, len, known, known_len);
        if (distance < best && distance <= own_part / 2) {
            best = distance;
            nearest = known;
        }
    }
    return nearest;
}

PLIM_COLD static void complain_value(enum option_id id, const char *value,
                                     options_complain_fn *complain, void *arg)
{
    char line[LINE_MAX_LEN];
    struct fmt f = FMT_INIT(line);
    const struct option_info *info = &option_table[id];
    fmt_str(&f, info->name);
    fmt_str(&f, ": bad value ");
    fmt_quoted(&f, value);
    fmt_str(&f, ", expected ");
    fmt_str(&f, info->accepts);
    fmt_str(&f, "; using ");
    fmt_str(&f, info->fallback);
    complain(arg, line);
}

PLIM_COLD static void complain_name(const char *name, size_t len, const char *value,
                                    options_complain_fn *complain, void *arg)
{
    char line[LINE_MAX_LEN];
    struct fmt f = FMT_INIT(line);
    const char *nearest = nearest_name(name, len);
    fmt_shown(&f, name, len);
    fmt_str(&f, ": unknown variable (value ");
    fmt_quoted(&f, value);
    fmt_str(&f, "), expected ");
    fmt_str(&f, nearest != NULL ? nearest : "a name that \"plimsoll options\" lists");
    fmt_str(&f, nearest != NULL ? " perhaps; ignored" : "; ignored");
    complain(arg, line);
}

/* The option that a name of len bytes means; OPTION_COUNT if none. */
static enum option_id option_find(const char *name, size_t len)
{
    size_t i = 0;
    while (i < OPTION_COUNT &&
           (strncmp(option_table[i].name, name, len) != 0 || option_table[i].name[len] != '\0'))
        i++;
    return (enum option_id)i;
}

/* The value if the entry is of that name, else NULL. */
static const char *entry_value(const char *entry, const char *name)
{
    size_t len = strlen(name);
    return strncmp(entry, name, len) == 0 && entry[len] == '=' ? entry + len + 1 : NULL;
}

/* Where files of a session go, by the customs of others: not ours to complain of. */
static void take_directory(const char *entry, struct options *ret)
{
    const char *runtime = entry_value(entry, "XDG_RUNTIME_DIR");
    const char *temp = entry_value(entry, "TMPDIR");
    if (runtime != NULL && ret->runtime_dir[0] == '\0')
        (void)set_path(runtime, ret->runtime_dir);
    if (temp != NULL && ret->temp_dir[0] == '\0')
        (void)set_path(temp, ret->temp_dir);
}

/* The first of its name counts; what is too long for us is none. */
static void take_text(const char *value, char *text, size_t size)
{
    size_t len = value != NULL ? strlen(value) : 0;
    if (len > 0 && len < size && text[0] == '\0')
        memcpy(text, value, len + 1);
}

/* What a service manager set: not ours to complain of either. */
static void take_pressure(const char *entry, struct options *ret)
{
    take_text(entry_value(entry, PRESSURE_WATCH), ret->pressure.path, PRESSURE_PATH_MAX);
    take_text(entry_value(entry, PRESSURE_WRITE), ret->pressure.write, PRESSURE_WRITE_MAX);
    take_text(entry_value(entry, PRESSURE_WATCH_OUTER), ret->pressure_outer.path,
              PRESSURE_PATH_MAX);
    take_text(entry_value(entry, PRESSURE_WRITE_OUTER), ret->pressure_outer.write,
              PRESSURE_WRITE_MAX);
}

void options_parse(const char *const *env, struct options *ret, options_complain_fn *complain,
                   void *arg)
{
    uint32_t seen = 0;
    _Static_assert(OPTION_COUNT <= 32, "one bit of seen an option");

    *ret = (struct options){0};
    for (unsigned i = 0; i < OPTION_COUNT; i++)
        (void)options_set((enum option_id)i, option_table[i].fallback, ret);

    for (; env != NULL && *env != NULL; env++) {
        const char *name = *env;
        if (strncmp(name, prefix, sizeof(prefix) - 1) != 0) {
            take_directory(name, ret);
            take_pressure(name, ret);
            continue;
        }
        size_t len = strcspn(name, "=");
        if (name[len] == '\0' || (len >= sizeof(prefix) && name[sizeof(prefix) - 1] != '_'))
            continue;
        enum option_id id = option_find(name, len);
        const char *value = name + len + 1;
        if (id == OPTION_COUNT) {
            if (complain != NULL)
                complain_name(name, len, value, complain, arg);
            continue;
        }
        if ((seen & (1u << id)) != 0)
            continue; /* the first one counts, as for getenv */
        seen |= 1u << id;
        if (options_set(id, value, ret) < 0 && complain != NULL)
            complain_value(id, value, complain, arg);
    }
}
