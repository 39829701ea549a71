/* Names of flight records, and how many are kept, see record.h. */
#include "record_internal.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

static const char prefix[] = "plimsoll-";
static const char suffix[] = ".record";

enum {
    STAMP_LEN = 15, /* 20261124-063011 */
    NAME_LEN_MAX = 64,
    LOOK_AT = 4096, /* names in the directory are looked at, at most */
};

static void two_digits(struct fmt *f, uint64_t n)
{
    fmt_str(f, n < 10 ? "0" : "");
    fmt_u64(f, n);
}

/* UTC, by the proleptic Gregorian calendar: libc's way may take a lock and read files. */
static void print_stamp(struct fmt *f, uint64_t wall_ns)
{
    uint64_t seconds = wall_ns / NS_PER_S, days = seconds / 86400 + 719468; /* from 1 March 0 */
    uint64_t era = days / 146097, day = days % 146097;
    uint64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    uint64_t of_year = day - (365 * year + year / 4 - year / 100);
    uint64_t month = (5 * of_year + 2) / 153; /* 0: March */
    uint64_t civil = month < 10 ? month + 3 : month - 9;
    fmt_u64(f, year + era * 400 + (civil <= 2));
    two_digits(f, civil);
    two_digits(f, of_year - (153 * month + 2) / 5 + 1);
    fmt_str(f, "-");
    two_digits(f, seconds / 3600 % 24);
    two_digits(f, seconds / 60 % 60);
    two_digits(f, seconds % 60);
}

static bool is_record_name(const char *name)
{
    size_t len = strlen(name);
    const char *at = name + sizeof(prefix) - 1;
    if (len >= NAME_LEN_MAX || len < sizeof(prefix) - 1 + STAMP_LEN + sizeof(suffix) ||
        memcmp(name, prefix, sizeof(prefix) - 1) != 0 ||
        strcmp(name + len - (sizeof(suffix) - 1), suffix) != 0)
        return false;
    for (const char *end = name + len - (sizeof(suffix) - 1); at < end; at++)
        if ((*at < '0' || *at > '9') && *at != '-')
            return false;
    return true;
}

/* The record itself and the heap profile beside it. */
static void remove_record(int dir, const char *name)
{
    char beside[NAME_LEN_MAX];
    struct fmt f = FMT_INIT(beside);
    (void)sys_unlink_at(dir, name);
    fmt_strn(&f, name, strlen(name) - (sizeof(suffix) - 1));
    fmt_str(&f, RECORD_PROFILE_SUFFIX);
    (void)sys_unlink_at(dir, beside);
}

/* Names begin with the time, so the first in order is the oldest. Only this user's: others' are
 * left to the directory's owner. */
void record_make_room(const char *path, const char *kept_path, struct record_scratch *scratch)
{
    const char *kept = strrchr(kept_path, '/') + 1;
    char oldest[NAME_LEN_MAX] = "";
    unsigned records = 0;
    uint32_t owner;
    struct sys_dir dir;
    const struct dirent64 *entry;
    (void)sys_dir_open(&dir, path, scratch->bytes, sizeof(scratch->bytes));
    for (unsigned left = LOOK_AT; left > 0 && (entry = sys_dir_next(&dir)) != NULL; left--) {
        if (!is_record_name(entry->d_name) || strcmp(entry->d_name, kept) == 0 ||
            sys_owner_at(dir.fd, entry->d_name, &owner) < 0 || owner != sys_euid())
            continue;
        records++;
        if (oldest[0] == '\0' || strcmp(entry->d_name, oldest) < 0)
            memcpy(oldest, entry->d_name, strlen(entry->d_name) + 1);
    }
    if (records >= RECORD_FILES_MAX)
        remove_record(dir.fd, oldest);
    sys_dir_close(&dir);
}

/* DIR/plimsoll-STAMP-PID.record, or -PID-2 if there was one in this very second. */
static void print_path(const char *dir, uint64_t wall_ns, unsigned attempt, char *path)
{
    struct fmt f = {.buf = path, .cap = RECORD_PATH_MAX};
    fmt_str(&f, dir);
    fmt_str(&f, "/");
    fmt_str(&f, prefix);
    print_stamp(&f, wall_ns);
    fmt_str(&f, "-");
    fmt_u64(&f, sys_pid());
    if (attempt > 1) {
        fmt_str(&f, "-");
        fmt_u64(&f, attempt);
    }
    fmt_str(&f, suffix);
}

int record_make(const char *dir, uint64_t wall_ns, char ret_path[RECORD_PATH_MAX])
{
    int fd = -EEXIST;
    for (unsigned attempt = 1; fd == -EEXIST && attempt <= 3; attempt++) {
        print_path(dir, wall_ns, attempt, ret_path);
        fd = sys_create(ret_path);
    }
    return fd;
}
