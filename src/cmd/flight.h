/*
 * What is known of a process's last minutes, from a flight record or its stats page: the one form
 * that the report is made from.
 *
 * The input was left by a process that may have been broken, or by another one altogether: all of
 * it is checked.
 */
#ifndef PLIM_CMD_FLIGHT_H
#define PLIM_CMD_FLIGHT_H

#include "../stats_page_file.h"
#include "../record_format.h"

enum {
    FLIGHT_BEGIN = sizeof(RECORD_FIRST_LINE) - 1, /* bytes at its start that tell what it is */
    FLIGHT_SAMPLES_MAX = 16384,
    FLIGHT_RECLAIMERS_MAX = 64,
    FLIGHT_TEXT_MAX = 256, /* a path, a name */
};

struct flight_reclaimer {
    uint64_t calls, asked, freed;
    char name[64];
};

struct flight {
    bool from_page;              /* else from a record */
    bool complete;               /* the record has its last line; the page has its samples */
    bool have[PAGE_FIELD_COUNT]; /* which values are known: the others are 0 */
    bool reclaimers_known;       /* a page does not tell */
    bool resident_known, maps_known, maps_cut;
    enum page_life life; /* of a page's process; a record does not tell */
    unsigned bad_lines;
    uint64_t format, reads; /* of another format: which it is, and which is read here */
    /* UNLIMITED where not known. */
    uint64_t pid, start_time, uid;
    uint64_t created_ns, created_at; /* monotonic and wall clock, nanoseconds */
    uint64_t taken_ns, taken_at;     /* of the record, or of the page's last update */
    char reason[32];                 /* why the record was written; of a page: "" */
    char comm[64], version[32], on_limit[16];
    char cgroup_path[FLIGHT_TEXT_MAX], profile[FLIGHT_TEXT_MAX];
    char limit_path[FLIGHT_TEXT_MAX]; /* of the cgroup whose limit binds; "": not known, or none */
    uint64_t values[PAGE_FIELD_COUNT];
    unsigned sample_count, reclaimer_count;
    struct record_sample *samples; /* oldest first, times ascending */
    struct flight_reclaimer reclaimers[FLIGHT_RECLAIMERS_MAX];
    struct record_resident resident;
    struct record_map_sum maps[RECORD_MAP_COUNT];
    char *jemalloc; /* its statistics as text; NULL: none */
};

/* UNLIMITED also where it is not known. */
static inline uint64_t flight_value(const struct flight *flight, enum page_field field)
{
    return flight->have[field] ? flight->values[field] : UNLIMITED;
}

/* Takes a record or a page apart. 0, -EBADMSG: neither of them, -EPROTONOSUPPORT: of another
 * format, see ret->format, -ENOMEM. flight_free() it in any case. */
int flight_parse(const void *data, size_t len, struct flight *ret);
/* Whether it begins as a record or a page of any version does. */
bool flight_is_evidence(const void *data, size_t len);
/* From a file or a pipe; "-": standard input. -errno; -EFBIG: too large for a record or page,
 * -EINVAL: not a file or pipe. */
int flight_load(const char *path, struct flight *ret);
void flight_free(struct flight *flight);

/* The two forms: flight_record.c, flight.c. */
/* Whether it is a record of any format, whose number is in *ret. */
bool flight_record_format(const char *data, size_t len, uint64_t *ret);
int flight_parse_record(const char *data, size_t len, struct flight *ret);
/* Appends a sample, unless it is out of order or there are too many; 0 or -ENOMEM. */
int flight_add_sample(struct flight *flight, const struct record_sample *sample);

#endif
