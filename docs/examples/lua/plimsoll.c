/*
 * Plimsoll for Lua 5.4: a module in C.
 *   Build: cc -O2 -fPIC -shared -I/usr/include/lua5.4 -o plimsoll.so plimsoll.c
 *   Run:   plimsoll run -m 128Mi -- lua5.4 cache.lua
 *
 *   plimsoll.reclaimer(function(target) ... end)   sets the function of this Lua state
 *   plimsoll.check()    a safe point: runs the function, and the collector, if memory is short
 *   plimsoll.hook(n)    a safe point every n instructions of this coroutine; 0: no more of them.
 *                       The function may then run between any two instructions of yours
 *   plimsoll.fd()       turns readable when the level changes: for event loops, which then check()
 *   plimsoll.level()    0 to 3
 *
 * A Lua state belongs to one thread at a time, and a callback of the library's comes on a thread of
 * the library's own. It could only leave a request for the Lua thread, which may be in malloc and
 * waiting for that very request to be met. So there is no callback: the Lua thread itself reads the
 * level at its safe points, by one load, and the pressure fd keeps the level up to date.
 */
#define PLIM_OPTIONAL /* loads without the library too */
#include <plimsoll.h>

#include <lauxlib.h>
#include <lua.h>

#include <stdint.h>

static const char function_key = 0, running_key = 0; /* their addresses: keys in Lua's registry */

/* Bytes to let go of; 0 if usage, not counting free pages, is below the soft limit. */
static int64_t wanted(void)
{
    struct plim_limits limits = {.size = sizeof(limits)};
    struct plim_stats stats = {.size = sizeof(stats)};
    /* plim_limits() brings the figures up to date, so it comes first. */
    if (plim_limits(&limits) < 0 || plim_stats(&stats) < 0)
        return 0;
    int64_t in_use = (int64_t)(stats.usage - (stats.committed - stats.active));
    int64_t above = in_use - (int64_t)limits.soft;
    return above > 0 ? above + (int64_t)(limits.soft / 20) : 0; /* 5 %: room to go on with */
}

static int get_flag(lua_State *L, const void *key)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, key);
    int is_set = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return is_set;
}

static void set_flag(lua_State *L, const void *key, int is_set)
{
    lua_pushboolean(L, is_set);
    lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

/* Calls the function and then the collector, as dropping a reference frees nothing in Lua. An error
 * in the function is raised at the safe point. */
static void make_room(lua_State *L, int64_t target)
{
    if (get_flag(L, &running_key)) /* the hook fired inside the function itself */
        return;
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &function_key) != LUA_TFUNCTION) {
        lua_pop(L, 1);
        return;
    }
    set_flag(L, &running_key, 1);
    lua_pushinteger(L, target);
    int rc = lua_pcall(L, 1, 0, 0);
    lua_gc(L, LUA_GCCOLLECT);
    set_flag(L, &running_key, 0);
    if (rc != LUA_OK)
        lua_error(L);
}

static void safe_point(lua_State *L)
{
    if (!plim_present() || plim_level() < PLIM_MEDIUM)
        return;
    int64_t target = wanted();
    if (target > 0)
        make_room(L, target);
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

static int l_fd(lua_State *L)
{
    int fd = plim_present() ? plim_pressure_fd() : -1;
    if (fd < 0)
        lua_pushnil(L);
    else
        lua_pushinteger(L, fd);
    return 1;
}

/* Replaces the function if there is one. Returns the fd, or nil: it will never be called. */
static int l_reclaimer(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_pushvalue(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &function_key);
    return l_fd(L); /* from now on the level is kept up to date at least once a second */
}

int luaopen_plimsoll(lua_State *L);

int luaopen_plimsoll(lua_State *L)
{
    static const luaL_Reg functions[] = {{"reclaimer", l_reclaimer}, {"check", l_check},
                                         {"hook", l_hook},           {"fd", l_fd},
                                         {"level", l_level},         {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
