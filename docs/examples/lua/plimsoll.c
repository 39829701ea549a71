/*
 * Plimsoll for Lua 5.4: a module in C.
 *   Build: cc -O2 -fPIC -shared -I/usr/include/lua5.4 -o plimsoll.so plimsoll.c -pthread
 *   Run:   plimsoll run -m 128Mi -- lua5.4 cache.lua
 *
 *   plimsoll.reclaimer(function(target) ... return bytes end)   the function of this state
 *   plimsoll.check()      a safe point: runs it, and the collector, if memory is short
 *   plimsoll.hook(n)      a safe point every n instructions of this coroutine; 0: none any more.
 *                         The function then runs between any two instructions of yours
 *   plimsoll.level()      0 to 3
 *
 * A Lua state belongs to one thread at a time, and the library calls from a thread of its own. So
 * what it calls is request() below, which touches no Lua: it leaves the target in the mailbox,
 * waits a moment for the Lua thread to come to a safe point and answer, and gives up else. Lua's
 * thread may be waiting in malloc for this very call: hence only a moment.
 */
#define PLIM_OPTIONAL /* loads without the library too */
#include <plimsoll.h>

#include <lauxlib.h>
#include <lua.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ANSWER_MS = 50 };

struct mailbox {
    pthread_mutex_t lock;
    pthread_cond_t answered;
    atomic_size_t target; /* what is asked; 0: nothing. Written by the library's thread, cleared by
                             Lua's; read without the lock at safe points */
    size_t freed;         /* the answer; under the lock */
    int id;               /* of the reclaimer */
    int serving; /* Lua's thread is inside serve(): a hook may come to a safe point there */
};

static const char mailbox_type[] = "plimsoll.mailbox";
static const char function_key = 0; /* its address: the function, in Lua's registry */
static const char mailbox_key = 0;

/* --- on the library's thread --- */

static size_t request(const struct plim_pressure *p, void *arg)
{
    struct mailbox *box = arg;
    struct timespec end;
    int rc = 0;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_nsec += ANSWER_MS * 1000000L;
    end.tv_sec += end.tv_nsec / 1000000000L;
    end.tv_nsec %= 1000000000L;

    pthread_mutex_lock(&box->lock);
    box->freed = 0;
    atomic_store(&box->target, (size_t)p->target);
    while (atomic_load(&box->target) != 0 && rc == 0)
        rc = pthread_cond_timedwait(&box->answered, &box->lock, &end);
    size_t freed = box->freed; /* the request stays: the next safe point serves it */
    pthread_mutex_unlock(&box->lock);
    return freed;
}

/* --- on Lua's --- */

static size_t lua_bytes(lua_State *L)
{
    return (size_t)lua_gc(L, LUA_GCCOUNT) * 1024 + (size_t)lua_gc(L, LUA_GCCOUNTB);
}

static struct mailbox *get_mailbox(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &mailbox_key);
    struct mailbox *box = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return box;
}

/* Calls the function and collects: dropping a reference frees nothing in Lua. An error of the
 * function goes to whoever came to the safe point. */
static void serve(lua_State *L, struct mailbox *box, size_t target)
{
    size_t before = lua_bytes(L);
    box->serving = 1;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &function_key);
    lua_pushinteger(L, (lua_Integer)target);
    int rc = lua_pcall(L, 1, 0, 0);
    lua_gc(L, LUA_GCCOLLECT);
    size_t after = lua_bytes(L);
    box->serving = 0;

    pthread_mutex_lock(&box->lock);
    box->freed = before > after ? before - after : 0;
    atomic_store(&box->target, 0);
    pthread_cond_signal(&box->answered);
    pthread_mutex_unlock(&box->lock);
    if (rc != LUA_OK)
        lua_error(L);
}

static void safe_point(lua_State *L)
{
    struct mailbox *box = get_mailbox(L);
    size_t target =
        box && !box->serving ? atomic_load_explicit(&box->target, memory_order_relaxed) : 0;
    if (target > 0)
        serve(L, box, target);
}

static int l_check(lua_State *L)
{
    safe_point(L);
    return 0;
}

static void on_count(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    safe_point(L);
}

static int l_hook(lua_State *L)
{
    int every = (int)luaL_checkinteger(L, 1);
    lua_sethook(L, every > 0 ? on_count : NULL, every > 0 ? LUA_MASKCOUNT : 0, every);
    return 0;
}

static int l_level(lua_State *L)
{
    lua_pushinteger(L, plim_present() ? (lua_Integer)plim_level() : PLIM_NORMAL);
    return 1;
}

/* Replaces the function if there is one. Returns whether it will be called. */
static int l_reclaimer(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_pushvalue(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &function_key);
    struct mailbox *box = get_mailbox(L);
    if (!box) {
        box = lua_newuserdatauv(L, sizeof(*box), 0);
        *box = (struct mailbox){
            .lock = PTHREAD_MUTEX_INITIALIZER, .answered = PTHREAD_COND_INITIALIZER, .id = -ENOSYS};
        luaL_setmetatable(L, mailbox_type);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &mailbox_key);
    }
    if (box->id < 0 && plim_present())
        box->id = plim_reclaimer_add("lua", request, box, PLIM_MEDIUM);
    lua_pushboolean(L, box->id >= 0);
    return 1;
}

/* The state is closed: the mailbox goes, once no call uses it any more. */
static int mailbox_gc(lua_State *L)
{
    struct mailbox *box = lua_touserdata(L, 1);
    if (box->id >= 0)
        plim_reclaimer_remove(box->id);
    return 0;
}

int luaopen_plimsoll(lua_State *L);

int luaopen_plimsoll(lua_State *L)
{
    static const luaL_Reg functions[] = {{"reclaimer", l_reclaimer},
                                         {"check", l_check},
                                         {"hook", l_hook},
                                         {"level", l_level},
                                         {NULL, NULL}};
    luaL_newmetatable(L, mailbox_type);
    lua_pushcfunction(L, mailbox_gc);
    lua_setfield(L, -2, "__gc");
    luaL_newlib(L, functions);
    return 1;
}
