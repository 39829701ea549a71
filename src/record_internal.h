/* Between the parts of record.h. */
#ifndef PLIM_RECORD_INTERNAL_H
#define PLIM_RECORD_INTERNAL_H

#include "fmt.h"
#include "stats_page.h"
#include "record.h"
#include "record_format.h"
#include "sys.h"

enum { RECORD_PATH_MAX = OPTION_PATH_MAX + 64 };

/* Suffix of the heap profile beside a record; the rest of its name is the record's. */
#define RECORD_PROFILE_SUFFIX ".heap"

/* Buffer for what is read meanwhile: one for each record that may be under way. */
struct record_scratch {
    _Alignas(8) char bytes[16 * 1024];
};

/* Lines on their way to the file. */
struct record_out {
    struct sys_file file;
    struct fmt f;
    char buf[8192];
    struct record_scratch scratch;
    int error; /* the first, -errno: then nothing more is written */
};
/* A line of words and numbers: record_line(), any of the next two, record_line_end(). Only whole
 * lines reach the file. */
void record_line(struct record_out *o, const char *word);
void record_text(struct record_out *o, const char *text);
void record_number(struct record_out *o, uint64_t n);
void record_line_end(struct record_out *o);
/* Foreign text with newlines, as quoted lines. `at_start`: true at first, kept between calls. */
void record_quote(struct record_out *o, const char *text, bool *at_start);
void record_flush(struct record_out *o);

/* What it holds (record_write.c). */
void record_write_head(struct record_out *o, const struct record_job *job,
                       const struct page_view *view, uint64_t wall_ns);
void record_write_samples(struct record_out *o, const struct page_view *view);
void record_write_reclaimers(struct record_out *o);
/* What was read goes to *ret as well: zeros where it could not be read. */
void record_write_resident(struct record_out *o, struct record_resident *ret);
void record_write_maps(struct record_out *o, const struct record_resident *resident,
                       uint64_t deadline_ns);
void record_write_jemalloc(struct record_out *o, uint64_t deadline_ns);
/* Beside the record, under its name. */
void record_write_profile(struct record_out *o, const char *record_path);

/* Makes the file in dir; its path goes to *ret_path. A descriptor, or -errno. */
int record_make(const char *dir, uint64_t wall_ns, char ret_path[RECORD_PATH_MAX]);
/* Removes the oldest record in dir if there are too many besides kept_path, which is in dir. Call
 * only once that one is of use. */
void record_make_room(const char *dir, const char *kept_path, struct record_scratch *scratch);

/* Lines on stderr (record_say.c): no record could be written, only part of it, or all of it. rc:
 * -errno. */
void record_say_none(const struct record_job *job, int rc);
void record_say_cut(const struct record_job *job, const char *path, int rc);
void record_say_done(const struct record_job *job, const char *path, uint64_t took_ns);

/* false: it could not be read. */
bool record_resident(struct record_scratch *scratch, struct record_resident *ret);
/* Reads /proc/self/smaps until the deadline; true: to its end. */
bool record_smaps(struct record_scratch *scratch, uint64_t deadline_ns,
                  struct record_map_sum ret[RECORD_MAP_COUNT]);

#endif
