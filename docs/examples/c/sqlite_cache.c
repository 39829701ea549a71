/*
 * SQLite's page cache gives way when memory gets short.
 *   Build: cc -O2 -o sqlite_cache sqlite_cache.c -lsqlite3
 *   Run:   plimsoll run -m 96Mi -- ./sqlite_cache
 * --no-reclaimer shows what happens without one: the kernel kills the program.
 *
 * The database is larger than the limit, and the cache is allowed to hold all of it. The reclaimer
 * runs on the library's own thread, so SQLite has to be in its serialized mode (the default).
 *
 * In that mode a connection has a mutex, and one sqlite3_step() holds it from beginning to end: for
 * an aggregate over a large table that may take minutes. sqlite3_db_release_memory() would wait for
 * it, and while it waits, nothing watches the memory. So the reclaimer tries the mutex only for a
 * moment. If a query has it, the reclaimer sets a soft heap limit, which needs no connection's
 * mutex and makes that query reuse its pages instead of taking new ones. The limit is lifted when
 * the level is normal again.
 */
#define PLIM_OPTIONAL /* runs without the library too */
#include <plimsoll.h>

#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROWS = 80000, ROW_BYTES = 2000, BATCH = 4000, TRIES = 20, OTHER_MIB = 60 };

static atomic_uint releases, busy; /* calls that emptied the cache; calls that met a query */

static void die(sqlite3 *db, const char *what)
{
    fprintf(stderr, "%s: %s\n", what, sqlite3_errmsg(db));
    exit(1);
}

/* --- the reclaimer --- */

/* Tries for about 20 ms; returns whether it got the mutex. */
static int try_for_a_moment(sqlite3_mutex *mutex)
{
    const struct timespec a_millisecond = {.tv_nsec = 1000000};
    for (int i = 0; i < TRIES; i++) {
        if (sqlite3_mutex_try(mutex) == SQLITE_OK)
            return 1;
        nanosleep(&a_millisecond, NULL);
    }
    return 0;
}

static size_t release_cache(const struct plim_pressure *p, void *arg)
{
    sqlite3 *db = arg;
    sqlite3_int64 before = sqlite3_memory_used();
    /* The target may be UINT64_MAX, which asks for all. */
    sqlite3_int64 target = p->target < INT64_MAX ? (sqlite3_int64)p->target : INT64_MAX;
    sqlite3_mutex *mutex = sqlite3_db_mutex(db);
    if (!try_for_a_moment(mutex)) {
        /* 0 would mean no limit. */
        sqlite3_soft_heap_limit64(before > target ? before - target : 1);
        atomic_fetch_add(&busy, 1);
        return 0;
    }
    sqlite3_db_release_memory(db); /* all pages that no statement is using */
    sqlite3_mutex_leave(mutex);
    atomic_fetch_add(&releases, 1);
    sqlite3_int64 freed = before - sqlite3_memory_used();
    return freed > 0 ? (size_t)freed : 0;
}

/* --- the program --- */

static void run(sqlite3 *db, const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        die(db, sql);
}

static void fill(sqlite3 *db)
{
    char sql[200];
    run(db, "PRAGMA journal_mode = off; PRAGMA synchronous = off;"
            "PRAGMA cache_size = -1000000;" /* a gigabyte: more than the limit allows */
            "CREATE TABLE item (id INTEGER PRIMARY KEY, body BLOB)");
    for (int i = 0; i < ROWS; i += BATCH) {
        snprintf(sql, sizeof(sql),
                 "WITH RECURSIVE n(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM n WHERE i < %d) "
                 "INSERT INTO item SELECT i, zeroblob(%d) FROM n",
                 i, i + BATCH - 1, ROW_BYTES);
        run(db, sql);
    }
}

/* A query that returns row after row: the reclaimer gets the mutex between two of them. */
static void read_rows(sqlite3 *db)
{
    sqlite3_stmt *query;
    int rc, rows = 0;
    if (sqlite3_prepare_v2(db, "SELECT id, body FROM item", -1, &query, NULL) != SQLITE_OK)
        die(db, "SELECT");
    while ((rc = sqlite3_step(query)) == SQLITE_ROW)
        rows++;
    if (rc != SQLITE_DONE)
        die(db, "SELECT");
    sqlite3_finalize(query);
    printf("rows=%d\n", rows);
}

/* A query that is a single long step. */
static void sum_up(sqlite3 *db)
{
    sqlite3_stmt *query;
    if (sqlite3_prepare_v2(db, "SELECT sum(length(hex(body))) FROM item", -1, &query, NULL) !=
            SQLITE_OK ||
        sqlite3_step(query) != SQLITE_ROW)
        die(db, "SELECT");
    printf("sum=%lld\n", (long long)sqlite3_column_int64(query, 0));
    sqlite3_finalize(query);
}

/* Takes memory for something else while the connection is idle: the cache has to make room. */
static void need_memory(void)
{
    char *blocks[OTHER_MIB];
    for (int i = 0; i < OTHER_MIB; i++) {
        blocks[i] = malloc(1 << 20);
        if (blocks[i])
            memset(blocks[i], 1, 1 << 20);
    }
    for (int i = 0; i < OTHER_MIB; i++)
        free(blocks[i]);
}

int main(int argc, char **argv)
{
    sqlite3 *db;
    int wanted = argc < 2 || strcmp(argv[1], "--no-reclaimer") != 0, id = -1;
    remove("example.db");
    if (sqlite3_threadsafe() != 1 || sqlite3_open("example.db", &db) != SQLITE_OK) {
        fprintf(stderr, "SQLite is not serialized, or example.db cannot be made\n");
        return 1;
    }
    if (wanted && plim_present())
        id = plim_reclaimer_add("sqlite", release_cache, db, PLIM_MEDIUM);
    fill(db);
    for (int round = 0; round < 3; round++) {
        read_rows(db);
        sum_up(db);
        need_memory();
        if (plim_present() && plim_level() == PLIM_NORMAL)
            sqlite3_soft_heap_limit64(0);
    }
    printf("releases=%u busy=%u\n", atomic_load(&releases), atomic_load(&busy));
    if (id >= 0)
        plim_reclaimer_remove(id); /* before the database that it uses is closed */
    sqlite3_close(db);
    remove("example.db");
    return 0;
}
