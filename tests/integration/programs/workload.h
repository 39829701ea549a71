/*
 * What the workload programs share. They link the C library only, run under whatever malloc is
 * preloaded, do the same thing on every run, and say what they see as "key=value" lines.
 */
#ifndef PLIM_TEST_WORKLOAD_H
#define PLIM_TEST_WORKLOAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Value of "--name NUMBER" on the command line, or fallback. Ends the program on an option that is
 * not a number. */
double option_number(int argc, char **argv, const char *name, double fallback);
/* "--name" alone. */
bool option_given(int argc, char **argv, const char *name);

double now_s(void);
void sleep_s(double seconds);
void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* This process's size in bytes, by a field of /proc/self/statm. */
enum own_memory { OWN_ADDRESSES, OWN_RESIDENT };
size_t own_memory(enum own_memory field);

/* One of the things that a program can do, chosen by its name on the command line. */
struct scenario {
    const char *name;
    void (*run)(void);
};
/* Runs the one of `count` scenarios that has this name, and prints ok=1; ends the program where
 * there is none. */
void scenario_run(const struct scenario *scenarios, size_t count, const char *name);

/* One block of a set, linked through the blocks themselves so that the set costs nothing more. */
struct block {
    struct block *next;
    size_t size;
    unsigned char data[];
};

/* A block of size bytes (at least sizeof(struct block)), every byte written; NULL when refused.
 * *ret_held: the bytes that malloc really set aside for it. */
struct block *block_new(size_t size, size_t *ret_held);
/* The same; ends the program when it is refused. */
struct block *block_must_have(size_t size);
/* Whether every byte is as block_new() left it. */
bool block_is_intact(const struct block *block);
/* verify: first checks every byte, and ends the program on a damaged block. */
void block_free(struct block *block, bool verify);

/* A set of as many blocks as fit in `bytes`, of sizes from `from` to `to` - 1. Ends the program
 * when one is refused. */
struct block *blocks_fill(size_t bytes, size_t from, size_t to, uint64_t *random);
/* Frees all blocks of a set, as block_free() does. */
void blocks_free(struct block *set, bool verify);

/* Blocks in the order in which they came; any thread. */
struct block_queue {
    pthread_mutex_t lock;
    struct block *oldest, *newest;
};
#define BLOCK_QUEUE_INIT                                                                           \
    {                                                                                              \
        .lock = PTHREAD_MUTEX_INITIALIZER                                                          \
    }
void block_queue_add(struct block_queue *queue, struct block *block);
/* NULL: it is empty. */
struct block *block_queue_take(struct block_queue *queue);
/* Frees the oldest, as block_free() does, until `bytes` have gone, or all; returns how many
 * bytes. */
size_t block_queue_drop(struct block_queue *queue, size_t bytes, bool verify);

struct phases {
    unsigned threads;
    unsigned rounds;
    size_t live_bytes; /* of all threads together, as malloc counts: malloc_usable_size */
    bool verify;       /* check every byte of every block before it is freed */
};
/* Each thread, rounds times: fills its share with blocks of sizes from one range, frees them all,
 * and goes to the next range. Returns when all threads are done; ends the program on a damaged
 * block. */
void phases_run(const struct phases *phases);

#endif
