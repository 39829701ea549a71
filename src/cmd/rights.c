/* The users and groups that a process acts as, see rights.h. */
#include "rights.h"

#include "../sys.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Reads the numbers behind "key:" in the text of /proc/PID/status; returns how many. */
static size_t numbers_of(const char *text, const char *key, unsigned *ret, size_t max)
{
    size_t count = 0;
    const char *at = strstr(text, key);
    if (at == NULL)
        return 0;
    at += strlen(key);
    while (count < max && *at != '\0' && *at != '\n') {
        char *end;
        ret[count] = (unsigned)strtoul(at, &end, 10);
        if (end == at)
            break;
        count++;
        at = end + strspn(end, " \t");
    }
    return count;
}

int rights_read(uint64_t pid, struct rights *ret)
{
    char path[64], text[8192];
    unsigned users[3], groups[2];
    (void)snprintf(path, sizeof(path), "/proc/%" PRIu64 "/status", pid);
    long got = sys_read_file(path, text, sizeof(text));
    if (got < 0)
        return (int)got;
    if (numbers_of(text, "\nUid:", users, ARRAY_LEN(users)) < ARRAY_LEN(users) ||
        numbers_of(text, "\nGid:", groups, ARRAY_LEN(groups)) < ARRAY_LEN(groups))
        return -EBADMSG;
    ret->real_user = users[0];
    ret->user = users[1];
    ret->saved_user = users[2];
    ret->group = groups[1];
    ret->group_count = numbers_of(text, "\nGroups:", ret->groups, RIGHTS_GROUPS_MAX);
    return 0;
}
