/*
 * The flight record: what led to level critical, written to a file of its own while the process can
 * still do so (PLIMSOLL_RECORD). Text, see record_format.h.
 *
 * Written under its final name, the most important part first: a process that is killed meanwhile
 * leaves what it has written so far, which a file renamed at the end would lose. No heap; the
 * descriptor is checked before each write, since a program may close what it does not own.
 *
 *   record.c         when, and what it holds
 *   record_out.c     lines to the file
 *   record_files.c   the file's name, and how many are kept
 *   record_say.c     what is said of it on stderr
 *   record_mapped.c  what of the process is resident, and what it has mapped
 */
#ifndef PLIM_RECORD_H
#define PLIM_RECORD_H

#include "options.h"

#include <plimsoll.h>

enum {
    RECORD_FILES_MAX = 64,   /* in the directory; beyond that the oldest goes */
    RECORD_PROCESS_MAX = 16, /* by one process at level critical; as many again of refusals */
};

/* What a record tells besides the contents of the stats page. */
struct record_job {
    const struct options *options;
    const char *reason; /* one word */
    uint64_t now_ns;
    bool profile; /* a heap profile too, however long that takes */
};

/* Warns if the directory that the user named cannot be written to, or if no limit is wanted. */
void record_check(const struct options *options);
/* Whether a record is due: at level critical at once, later ones 1, 2, 4... minutes apart; a second
 * after one that could not be written. Any thread; a hint, record_begin() decides. */
bool record_due(const struct options *options, enum plim_level level, uint64_t now_ns);
/* Begins a record with what must not be lost, which takes milliseconds. false: no record is
 * begun. */
bool record_begin(const struct record_job *job);
/* After record_begin() returned true, on the same thread: writes the rest, in at most 100 ms but
 * for the profile. */
void record_end(const struct record_job *job);
/* Both of these, where there is no watcher to do it or it may be too late; without a profile. */
void record_now(const struct options *options, uint64_t now_ns);
/* A request is refused, which may end the program: whether to log that, which is as rare as records
 * are. */
bool record_refusal_is_news(uint64_t now_ns);
/* A whole record of a refused request, if one is due; without a profile. Any thread. */
void record_refused(const struct options *options, uint64_t now_ns);
/* A whole record at the very end of the program, due or not. */
void record_last(const struct options *options, const char *reason);
void record_fork_child(void);

#endif
