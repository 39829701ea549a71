/*
 * The soak program: allocates at the line for as long as it is told, and checks every byte.
 *
 * It knows no more of the library than any program: plimsoll.h, with weak symbols, and jemalloc's
 * mallctl for figures at quiet points. Its own notes lie in shared memory, so that the heap holds
 * only blocks under test.
 */
#ifndef PLIM_SOAK_H
#define PLIM_SOAK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Ends the program with a message, where it cannot get what it needs for itself. */
void stop(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
/* Memory of this program's own, zeroed, shared with children, not of the heap. */
void *own_memory(size_t bytes);
void own_memory_free(void *memory, size_t bytes);

uint64_t now_ns(void);
uint64_t next_random(uint64_t *state);
/* A number in [from, to). */
uint64_t random_between(uint64_t *state, uint64_t from, uint64_t to);

/* --- blocks: blocks.c --- */

/* One block under test. What it must contain follows from seed and size, which are kept outside the
 * block. data NULL: no block. */
struct item {
    unsigned char *data;
    size_t size;
    uint64_t seed;
};

/* How long calls took. One per thread; added up after the thread has ended. */
struct pauses {
    uint64_t calls;
    uint64_t longest_ns;
    uint64_t over_10ms, over_100ms;
    uint64_t reading_longest_ns; /* the same for reading a block: no call at all, so what stalls
                                  * this is not the allocator */
};
void pauses_add(struct pauses *sum, const struct pauses *part);

/* Makes a block by malloc, calloc, an aligned call or realloc(NULL), at random, and writes every
 * byte. False, with errno kept, where it was refused. Wrong alignment or missing zeroes are
 * counted. */
bool item_make(struct item *item, size_t size, uint64_t *random, struct pauses *pauses);
/* Resizes by realloc; checks what was kept, then writes every byte anew. */
bool item_resize(struct item *item, size_t size, uint64_t *random, struct pauses *pauses);
void item_check(const struct item *item);
/* Checks and frees. */
void item_end(struct item *item, struct pauses *pauses);
/* How many checks failed so far, in all threads; the first few are reported on stderr. */
uint64_t wrong_count(void);

/* --- blocks that all threads share: shared.c --- */

/* A table of blocks that any thread puts in and takes out: what one allocates another frees, and
 * the reclaimer empties it, as a cache would be. */
void shared_begin(size_t slots);
void shared_end(struct pauses *pauses);
/* Puts *item in at random and hands out what was there (data NULL: nothing). */
void shared_swap(struct item *item, uint64_t *random);
/* Frees blocks of about `bytes` in all; returns how many bytes it freed. Any thread. */
size_t shared_drop(size_t bytes, struct pauses *pauses);
/* Sum of the sizes of the blocks in the table now. */
size_t shared_bytes(void);

/* --- what is held: held.c --- */

/* One of jemalloc's figures; 0 without jemalloc. */
size_t jemalloc_size(const char *name);
/* Brings jemalloc's figures up to date; until then they are those of the last call. */
void jemalloc_refresh(void);
/* Empties the calling thread's cache and gives free pages back. */
void jemalloc_tidy(void);
/* Resident pages of jemalloc's own, other than those that hold or held blocks. */
size_t metadata_bytes(void);
/* Prints what is not free, by size of block: in use or in threads' caches. */
void classes_print(void);

/* --- phases: phase.c --- */

struct phase {
    double seconds;
    unsigned threads;
    unsigned range;            /* which sizes; see phase.c */
    size_t own_bytes;          /* of all threads together, in blocks that no reclaimer frees */
    size_t shared_slots_bytes; /* what the shared table may grow to */
    bool forks;
    uint64_t seed;
};

struct phase_result {
    struct pauses pauses;
    uint64_t operations, forks, failed_children, refused;
};

enum { PHASE_RANGES = 7, PHASE_THREADS_MAX = 32 };

/* Starts the threads and returns. */
void phase_begin(const struct phase *phase);
/* After this all threads stand still, with the blocks that they hold. */
void phase_park(void);
/* Bytes in blocks that are held and written to; only while parked. */
size_t phase_written(void);
void phase_go_on(void);
/* Waits until the time is up; everything is checked and freed when this returns. */
struct phase_result phase_end(void);

#endif
