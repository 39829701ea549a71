/* Loading records and pages, see flight.h. */
#include "flight.h"

#include "clean.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const size_t file_max = (size_t)8 << 20; /* a record of the library's is below 1 MiB */

int flight_add_sample(struct flight *flight, const struct record_sample *sample)
{
    unsigned n = flight->sample_count;
    if (n == FLIGHT_SAMPLES_MAX || (n > 0 && sample->at_ns < flight->samples[n - 1].at_ns)) {
        flight->bad_lines++;
        return 0;
    }
    if ((n & (n - 1)) == 0) { /* full at each power of two */
        size_t room = n == 0 ? 1 : 2 * (size_t)n;
        void *more = realloc(flight->samples, room * sizeof(*sample));
        if (more == NULL)
            return -ENOMEM;
        flight->samples = more;
    }
    flight->samples[flight->sample_count++] = *sample;
    return 0;
}

static void copy_text(char *to, size_t size, const char *from)
{
    (void)snprintf(to, size, "%s", from);
    clean_text(to);
}

/* A kill in the middle of a look leaves the values of that look, but samples without it. */
static int add_last_look(const struct page_view *view, struct flight *ret)
{
    const uint64_t *v = view->values, at_ns = v[PAGE_UPDATED];
    const struct record_sample look = {
        .at_ns = at_ns,
        .usage = v[PAGE_USAGE],
        .committed = v[PAGE_COMMITTED],
        .active = v[PAGE_ACTIVE],
        .dirty = v[PAGE_DIRTY],
        .soft = v[PAGE_SOFT],
        .hard = v[PAGE_HARD],
        .looks = 1,
        .level = v[PAGE_LEVEL],
    };
    if (view->sequence % 2 == 0 || ret->sample_count == 0)
        return 0;
    const struct record_sample *last = &ret->samples[ret->sample_count - 1];
    return at_ns > last->at_ns + (last->span_us + 1) * 1000 ? flight_add_sample(ret, &look) : 0;
}

static int parse_page(const struct page_view *view, struct flight *ret)
{
    ret->from_page = true;
    ret->complete = view->ring != NULL;
    ret->pid = view->pid;
    ret->start_time = view->start_time;
    ret->uid = view->uid;
    ret->created_ns = view->created_ns;
    ret->created_at = view->created_at;
    for (unsigned i = 0; i < view->known; i++)
        ret->have[i] = true;
    copy_text(ret->comm, sizeof(ret->comm), view->comm);
    copy_text(ret->version, sizeof(ret->version), view->version);
    copy_text(ret->cgroup_path, sizeof(ret->cgroup_path), view->cgroup_path);
    copy_text(ret->limit_path, view->limit_path_len + 1, view->cgroup_path);
    memcpy(ret->values, view->values, sizeof(ret->values));
    ret->taken_ns = ret->values[PAGE_UPDATED];
    ret->taken_at = page_written_at(view);
    ret->life = page_life(view);
    for (unsigned i = 0, n = page_sample_count(view); i < n; i++) {
        struct page_sample packed = page_sample_at(view, i);
        struct record_sample sample;
        record_sample_unpack(&packed, &sample);
        int rc = flight_add_sample(ret, &sample);
        if (rc < 0)
            return rc;
    }
    return add_last_look(view, ret);
}

/* 0: its major version is the one that is read here, or it is no page. */
static uint64_t other_page_format(const void *data, size_t len)
{
    uint32_t major;
    const size_t at = offsetof(struct page_header, major);
    if (len < at + sizeof(major) || memcmp(data, PAGE_MAGIC, sizeof(PAGE_MAGIC) - 1) != 0)
        return 0;
    memcpy(&major, (const char *)data + at, sizeof(major));
    return major != PAGE_MAJOR ? major : 0;
}

static int parse_record(const void *data, size_t len, uint64_t format, struct flight *ret)
{
    uint64_t ours = 0;
    (void)flight_record_format(RECORD_FIRST_LINE, sizeof(RECORD_FIRST_LINE) - 1, &ours);
    if (format == ours)
        return flight_parse_record(data, len, ret);
    ret->format = format;
    ret->reads = ours;
    return -EPROTONOSUPPORT;
}

int flight_parse(const void *data, size_t len, struct flight *ret)
{
    struct page_view view;
    uint64_t format;
    *ret = (struct flight){0};
    if (flight_record_format(data, len, &format))
        return parse_record(data, len, format, ret);
    format = other_page_format(data, len);
    if (format != 0) {
        *ret = (struct flight){.from_page = true, .format = format, .reads = PAGE_MAJOR};
        return -EPROTONOSUPPORT;
    }
    int rc = page_parse(data, len, &view);
    return rc < 0 ? rc : parse_page(&view, ret);
}

bool flight_is_evidence(const void *data, size_t len)
{
    const size_t words = FLIGHT_BEGIN - 1, magic = sizeof(PAGE_MAGIC) - 1;
    return (len >= words && memcmp(data, RECORD_FIRST_LINE, words) == 0) ||
           (len >= magic && memcmp(data, PAGE_MAGIC, magic) == 0);
}

/* All of a file of up to file_max bytes; *ret is to be freed. */
static int read_all(int fd, char **ret, size_t *ret_len)
{
    size_t len = 0, room = (size_t)64 << 10;
    char *data = NULL;
    for (;;) {
        if (data == NULL || len == room) {
            char *more = realloc(data, room = data == NULL ? room : 2 * room);
            if (more == NULL)
                break;
            data = more;
        }
        ssize_t got = read(fd, data + len, room - len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 || len + (size_t)got > file_max) {
            int rc = got < 0 ? -errno : -EFBIG;
            free(data);
            return rc;
        }
        if (got == 0) {
            *ret = data;
            *ret_len = len;
            return 0;
        }
        len += (size_t)got;
    }
    free(data);
    return -ENOMEM;
}

/* A pipe is read until its writer is done, as by any reader. Opened without waiting: one that
 * nobody writes to is empty. */
static int open_file(const char *path, int *ret)
{
    struct stat st;
    bool is_input = strcmp(path, "-") == 0;
    *ret = -1;
    if (!is_input && stat(path, &st) == 0 && (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)))
        return -EINVAL; /* opening some devices has effects already */
    *ret = is_input ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
                    : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*ret < 0 || fstat(*ret, &st) < 0)
        return -errno;
    if (S_ISREG(st.st_mode) || (is_input && S_ISSOCK(st.st_mode)))
        return 0;
    if (S_ISFIFO(st.st_mode))
        return !is_input && fcntl(*ret, F_SETFL, 0) < 0 ? -errno : 0;
    return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
}

int flight_load(const char *path, struct flight *ret)
{
    char *data = NULL;
    size_t len = 0;
    *ret = (struct flight){0};
    int fd, rc = open_file(path, &fd);
    rc = rc < 0 ? rc : read_all(fd, &data, &len);
    if (fd >= 0)
        (void)close(fd);
    if (rc < 0)
        return rc;
    rc = flight_parse(data, len, ret);
    free(data);
    return rc;
}

void flight_free(struct flight *flight)
{
    free(flight->samples);
    free(flight->jemalloc);
    *flight = (struct flight){0};
}
