/* The sentence at the top and what to do next, see report.h. */
#include "report.h"

#include "../limits.h"
#include "figures.h"
#include "words.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

static const char *what_ended(const struct flight *f, const struct verdict *v)
{
    switch (v->end) {
    case REPORT_AT_LIMIT:
        return "was at its memory limit and is gone (killed by the kernel, or ended abruptly)";
    case REPORT_GONE:
        return "ended without cleaning up (killed, or _exit)";
    case REPORT_REFUSED:
        return "ended itself at its memory limit (PLIMSOLL_ON_LIMIT=abort)";
    case REPORT_UNTOLD:
        return v->at_limit ? "runs in another pid namespace or is gone, which cannot be told from "
                             "here; it was at its memory limit when last seen"
                           : "runs in another pid namespace or is gone, which cannot be told from "
                             "here";
    case REPORT_REPLACED:
        return "runs another program now (exec); this is what it was before";
    case REPORT_GOING_ON:
        break;
    }
    if (f->from_page)
        return "is running";
    return strcmp(f->reason, "refused") == 0 ? "was refused memory (PLIMSOLL_ON_LIMIT=fail)"
                                             : "was critically close to its memory limit";
}

static const char *what_grew(enum report_cause cause)
{
    switch (cause) {
    case REPORT_LIVE:
        return "the memory that the program itself holds (malloc)";
    case REPORT_FREE:
        return "free pages of the heap";
    case REPORT_OUTSIDE:
        return "memory outside its heap";
    case REPORT_REQUEST:
    case REPORT_UNKNOWN:
        break;
    }
    return "nothing much";
}

/* Goes on behind what_ended(). */
static void why(const struct flight *f, const struct verdict *v, char *to, size_t size)
{
    bool limited = v->hard != UNLIMITED;
    if (v->cause == REPORT_REQUEST)
        (void)snprintf(to, size,
                       ": it asked for up to %s at once, more than the %s that were left%s.",
                       words_bytes(v->request.size), words_bytes(v->request.room),
                       v->request.refused ? ", and was refused" : "");
    else if (v->cause == REPORT_UNKNOWN)
        (void)snprintf(to, size,
                       v->peak == UNLIMITED  ? ". Its usage is not known."
                       : f->sample_count < 2 ? ". Whether its usage rose is not known."
                                             : ". Usage did not rise in the time that is known.");
    else
        (void)snprintf(to, size, ". What grew: %s; usage rose by %s in %s to %s%s%s.",
                       what_grew(v->cause), words_bytes((uint64_t)v->rise_usage),
                       words_span(v->rise_ns), words_bytes(v->peak), limited ? " of " : "",
                       limited ? words_bytes(v->hard) : "");
}

/* Adds refused requests that the text so far does not name. */
static void add_refused(const struct flight *f, const struct verdict *v, char *to, size_t size)
{
    uint64_t n = f->values[PAGE_FAILED_REQUESTS];
    if (n == 0 || n == UNLIMITED || (v->cause == REPORT_REQUEST && v->request.refused))
        return;
    size_t len = strlen(to);
    (void)snprintf(to + len, size - len, " PLIMSOLL_ON_LIMIT=fail refused %" PRIu64 " %s.", n,
                   n == 1 ? "request" : "requests");
}

void report_name(const struct flight *f, char *to, size_t size)
{
    bool known = f->pid != UNLIMITED;
    (void)snprintf(to, size, known ? "%s (pid %" PRIu64 ")" : "%s",
                   f->comm[0] != '\0' ? f->comm : "The process", f->pid);
}

void report_headline(const struct flight *f, const struct verdict *v, char *to, size_t size)
{
    char reason[REPORT_LINE_MAX], name[REPORT_NAME_MAX];
    bool gone = v->end == REPORT_GONE;
    why(f, v, reason, sizeof(reason));
    add_refused(f, v, reason, sizeof(reason));
    report_name(f, name, sizeof(name));
    (void)snprintf(to, size, "%s %s%s%s%s", name, what_ended(f, v),
                   gone ? "; when last seen it was at level " : "",
                   gone ? page_level_word(f->values[PAGE_LEVEL]) : "", reason);
}

static void say(struct advice *a, const char *format, ...) PLIM_PRINTF(2, 3);

static void say(struct advice *a, const char *format, ...)
{
    va_list args;
    if (a->count == REPORT_ADVICE_MAX)
        return;
    va_start(args, format);
    (void)vsnprintf(a->lines[a->count++], REPORT_LINE_MAX, format, args);
    va_end(args);
}

static void advise_live(const struct flight *f, const struct verdict *v, struct advice *a)
{
    if (v->still_rising)
        say(a, "It was still rising: if the load was normal, this looks like a leak or a "
               "cache without a bound. A higher limit only delays the end.");
    else
        say(a,
            "It was rising less and less: if the load was normal, the program needs a limit of "
            "about "
            "%s.",
            words_bytes(v->needed_limit));
    if (f->profile[0] != '\0')
        say(a, "See which functions hold it: jeprof --text PROGRAM %s", f->profile);
    else
        say(a,
            "To see which functions hold it, run the program with PLIMSOLL_HEAP_PROFILE=512Ki and "
            "PLIMSOLL_RECORD=DIR: a heap profile is then written beside each record%s.",
            f->from_page ? "; look there, if both were set" : "");
    if (f->reclaimers_known && f->reclaimer_count == 0)
        say(a, "The program gave Plimsoll nothing to let go of: a cache of its own can be made to "
               "shrink with plim_reclaimer_add().");
    else if (v->asked > 0 && v->freed < v->asked / 4)
        say(a,
            "Its callbacks gave %s of the %s they were asked for: they are empty, or what they "
            "let go is still held elsewhere.",
            words_bytes(v->freed), words_bytes(v->asked));
}

/* Whether what other processes use counts as well. */
static bool in_cgroup(const struct flight *f)
{
    return f->values[PAGE_SOURCE] == LIMITS_CGROUP;
}

static const char *limiting_cgroup(const struct flight *f)
{
    return f->limit_path[0] != '\0' ? f->limit_path : "the cgroup";
}

static void advise_outside(const struct flight *f, struct advice *a)
{
    const struct record_resident *r = &f->resident;
    uint64_t apart = u64_less(r->anonymous, f->values[PAGE_COMMITTED]);
    if (in_cgroup(f))
        say(a,
            "It is of other processes of %s, or not from malloc: this process's heap could not "
            "give any of it back.",
            limiting_cgroup(f));
    else
        say(a, "It did not go through malloc, so Plimsoll could not give any of it back.");
    if (!f->resident_known)
        say(a,
            "Candidates: mmap by the program or its runtime (Java, Go, V8, thread stacks), files "
            "in /dev/shm or another tmpfs%s%s.",
            in_cgroup(f) ? ", other processes of " : "", in_cgroup(f) ? limiting_cgroup(f) : "");
    else if (r->shared > apart && r->shared > 16 * MiB)
        say(a, "%s of it is shared memory of this process (/dev/shm, memfd, System V).",
            words_bytes(r->shared));
    else if (apart > 16 * MiB)
        say(a,
            "About %s of it is anonymous memory that this process mapped without malloc: its "
            "runtime (Java, Go, V8), thread stacks, or mmap. It has %llu threads.",
            words_bytes(apart), (unsigned long long)r->threads);
    else
        say(a,
            "This process has not mapped it: look at the other processes of %s, and at files in a "
            "tmpfs.",
            limiting_cgroup(f));
}

static void advise_request(const struct flight *f, const struct verdict *v, struct advice *a)
{
    if (v->request.refused)
        say(a, "It was PLIMSOLL_ON_LIMIT=fail that refused it: what the program does when malloc "
               "returns NULL is its own affair.");
    else if (f->values[PAGE_FAILED_REQUESTS] == 0 && strcmp(f->on_limit, "fail") != 0)
        say(a, "%sPLIMSOLL_ON_LIMIT=fail makes malloc return NULL for such a request.",
            f->on_limit[0] == '\0' ? "Unless it was set already, " : "");
    say(a, "To serve it, a limit of up to %s is needed.", words_bytes(v->needed_limit));
}

void report_advise(const struct flight *f, const struct verdict *v, struct advice *ret)
{
    ret->count = 0;
    switch (v->cause) {
    case REPORT_LIVE:
        advise_live(f, v, ret);
        break;
    case REPORT_OUTSIDE:
        advise_outside(f, ret);
        break;
    case REPORT_FREE:
        say(ret, "Free pages were not given back in time. PLIMSOLL_PROFILE=tight purges earlier, "
                 "PLIMSOLL_RECLAIM_CPU allows it more time.");
        break;
    case REPORT_REQUEST:
        advise_request(f, v, ret);
        break;
    case REPORT_UNKNOWN:
        if (f->sample_count > 1 && v->end != REPORT_AT_LIMIT && v->end != REPORT_GONE)
            say(ret, "Nothing here says that memory was what went wrong.");
        break;
    }
    if (v->end == REPORT_GONE)
        say(ret,
            "How it ended cannot be told from this%s. The kernel's log (dmesg, journalctl -k) and "
            "the exit status know.",
            f->values[PAGE_LEVEL] >= PAGE_LEVEL_CRITICAL
                ? ""
                : ": in a group the kernel may kill a process that never saw level critical");
    if (v->hard != UNLIMITED && v->dirty_end != UNLIMITED && v->dirty_end > v->hard / 10 &&
        v->cause != REPORT_FREE)
        say(ret, "At the end %s of free pages had not been given back.", words_bytes(v->dirty_end));
    if (f->from_page && !f->complete)
        say(ret, "The page was cut short: the samples of the time before the end are missing.");
    else if (!f->complete)
        say(ret, "The record was cut short: the process ended, or there was no room, while it was "
                 "being written.");
}
