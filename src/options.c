/*
 * The environment variables, see options.h: the table, and how an environment is read. All of
 * options*.c runs inside the first malloc: no stdio, no heap, no lock, and the environment is read
 * as it was handed over, never through libc.
 */
#include "options_internal.h"

#include <string.h>

const struct option_info option_table[OPTION_COUNT] = {
#define X(id, variable, initial, values, meaning)                                                  \
    {.name = (variable), .fallback = (initial), .accepts = (values), .help = (meaning)},
    OPTIONS_TABLE(X)
#undef X
};

/* The option that a name of len bytes means; OPTION_COUNT if none. */
static enum option_id option_find(const char *name, size_t len)
{
    size_t i = 0;
    while (i < OPTION_COUNT &&
           (strncmp(option_table[i].name, name, len) != 0 || option_table[i].name[len] != '\0'))
        i++;
    return (enum option_id)i;
}

const char *options_entry_value(const char *entry, const char *name)
{
    size_t len = strlen(name);
    return strncmp(entry, name, len) == 0 && entry[len] == '=' ? entry + len + 1 : NULL;
}

unsigned options_stats_dirs(const struct options *o, const char *ret[STATS_DIRS_MAX])
{
    unsigned count = 0;
    if (o->stats == STATS_DIR)
        ret[count++] = o->stats_dir;
    if (o->stats != STATS_AUTO)
        return count;
    if (o->runtime_dir[0] != '\0')
        ret[count++] = o->runtime_dir;
    ret[count++] = "/dev/shm";
    ret[count++] = o->temp_dir[0] != '\0' ? o->temp_dir : "/tmp";
    return count;
}

/* Where a session's files go by others' conventions: bad values are not ours to complain of. */
static void take_directory(const char *entry, struct options *ret)
{
    const char *runtime = options_entry_value(entry, "XDG_RUNTIME_DIR");
    const char *temp = options_entry_value(entry, "TMPDIR");
    if (runtime != NULL && ret->runtime_dir[0] == '\0')
        (void)options_path(runtime, ret->runtime_dir);
    if (temp != NULL && ret->temp_dir[0] == '\0')
        (void)options_path(temp, ret->temp_dir);
}

/* The first entry of a name counts; one that is too long for us is ignored. */
static void take_text(const char *value, char *text, size_t size)
{
    size_t len = value != NULL ? strlen(value) : 0;
    if (len > 0 && len < size && text[0] == '\0')
        memcpy(text, value, len + 1);
}

/* What a service manager set; no complaints of bad values either. */
static void take_pressure(const char *entry, struct options *ret)
{
    take_text(options_entry_value(entry, PRESSURE_WATCH), ret->pressure.path, PRESSURE_PATH_MAX);
    take_text(options_entry_value(entry, PRESSURE_WRITE), ret->pressure.write, PRESSURE_WRITE_MAX);
    take_text(options_entry_value(entry, PRESSURE_WATCH_OUTER), ret->pressure_outer.path,
              PRESSURE_PATH_MAX);
    take_text(options_entry_value(entry, PRESSURE_WRITE_OUTER), ret->pressure_outer.write,
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
        if (strncmp(name, OPTIONS_PREFIX, sizeof(OPTIONS_PREFIX) - 1) != 0) {
            take_directory(name, ret);
            take_pressure(name, ret);
            continue;
        }
        size_t len = strcspn(name, "=");
        if (name[len] == '\0' ||
            (len >= sizeof(OPTIONS_PREFIX) && name[sizeof(OPTIONS_PREFIX) - 1] != '_'))
            continue;
        enum option_id id = option_find(name, len);
        const char *value = name + len + 1;
        if (id == OPTION_COUNT) {
            if (complain != NULL)
                options_bad_name(name, len, value, complain, arg);
            continue;
        }
        if ((seen & (1u << id)) != 0)
            continue; /* the first one counts, as for getenv */
        seen |= 1u << id;
        if (options_set(id, value, ret) < 0 && complain != NULL)
            options_bad_value(id, value, complain, arg);
    }
}
