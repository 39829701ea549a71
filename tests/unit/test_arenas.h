/* What the tests of test_arenas.c and test_arenas_own.c share. */
#ifndef TEST_ARENAS_H
#define TEST_ARENAS_H

#include "account.h"
#include "arenas.h"
#include "je.h"
#include "look.h"
#include "runtime.h"
#include "thread_state.h"

#include <sys/types.h>

/* Whether jemalloc is not inside the library: what it took before it had hooks may then be counted
 * wrong by a page or two. */
bool on_shared_jemalloc(void);
/* Whether both are the same, apart from those pages. */
bool is_about(uint64_t value, uint64_t expected);

/* Flags that allocate from that arena, past the thread's cache. */
int arena_and_no_cache(unsigned index);
/* Allocates 256 blocks there and frees them. */
void use_arena(unsigned index, size_t size);
/* The figure "stats.arenas.<arena>.<name>"; 0 for an arena that no thread has needed yet. */
size_t statistic(unsigned arena, const char *name);
void assert_count_is_exact(const char *when);
/* Bytes of this process that are in memory. */
uint64_t resident(void);

int mallctl(const char *name, void *oldp, size_t *oldlenp, void *newp, size_t newlen);
/* Makes an arena of the program's own. */
unsigned create_arena(void);
unsigned create_arena_with(struct je_extent_hooks *hooks);
/* Calls "arena.<arena>.<what>", which neither takes nor gives a value: reset, destroy. */
void control_arena(unsigned arena, const char *what);
void choose_decay(unsigned arena, ssize_t ms);
/* jemalloc's default hooks, taken from an arena that has them: a program's own hooks build on
 * these. */
struct je_extent_hooks *default_hooks(void);
void set_hooks(unsigned arena, struct je_extent_hooks *given, bool by_mib);

/* Skips the test where slabs cannot be read. */
void need_slabs(void);
/* Write and check the contents of the i-th block of its size. */
void write_block(unsigned char *block, size_t i, size_t size);
void check_block(const unsigned char *block, size_t i, size_t size);
/* One round over all slabs, however many calls it takes; returns the bytes that went. */
uint64_t drop_slabs(void);
/* Makes the next call begin a new round. */
void end_slabs_round(void);
void make_dirty(uint64_t bytes, size_t piece);
uint64_t dirty_now(void);

#endif
