/*
 * plimsoll report: what the last minutes of a process mean (report_judge), and three ways to show
 * it.
 */
#ifndef PLIM_CMD_REPORT_H
#define PLIM_CMD_REPORT_H

#include "flight.h"

#include <jansson.h>
#include <stdio.h>

/* What made the usage rise. */
enum report_cause {
    REPORT_UNKNOWN, /* too few samples, or it did not rise */
    REPORT_LIVE,    /* memory that the program holds through malloc */
    REPORT_FREE,    /* free pages of the heap that were not given back */
    REPORT_OUTSIDE, /* memory that did not come from this heap */
    REPORT_REQUEST, /* one request larger than the room that was left */
};

/* How it ended, as far as can be told. */
enum report_end {
    REPORT_GOING_ON, /* a record, or a page whose process runs */
    REPORT_AT_LIMIT, /* a page left behind near a cgroup's limit: the kernel killed it, or it
                        ended abruptly, which leaves the same */
    REPORT_GONE,     /* a page that was left behind otherwise: killed, or _exit */
    REPORT_REFUSED,  /* a record from just before PLIMSOLL_ON_LIMIT=abort ended the program */
    REPORT_UNTOLD,   /* a page of another pid namespace: it may run */
    REPORT_REPLACED, /* a page from before an exec: the process runs another program now */
};

/* A request for which there was no room, by the samples. Bytes. */
struct report_request {
    uint64_t size;   /* 0: there is none */
    uint64_t room;   /* left when it was made, free pages of the heap included */
    uint64_t before; /* in use then */
    bool refused;
};

/* Bytes and nanoseconds; UNLIMITED where not known. */
struct verdict {
    enum report_cause cause;
    enum report_end end;
    uint64_t hard, soft; /* at the end */
    bool limit_known;    /* false: hard and soft are not known, which is not the same as no limit */
    uint64_t usage, peak;
    uint64_t span_ns; /* of all samples */
    /* The last rise of usage: from the last time that it was near its lowest, to its highest. */
    uint64_t rise_ns;
    int64_t rise_usage, rise_active, rise_dirty, rise_outside;
    int64_t rise_untouched; /* of the heap, at least */
    /* By the part of the rise below the soft limit, where nothing held the program back: */
    uint64_t rate;                 /* bytes a second */
    bool still_rising;             /* at the rise's end as fast as over all of it, or nearly */
    uint64_t largest_request;      /* in the last seconds */
    struct report_request request; /* the one of these that may have ended the process */
    uint64_t dirty_end;            /* free pages at the end */
    uint64_t untouched_end; /* pages that the heap has taken and nobody has touched, at least */
    /* What was done, over the samples. */
    unsigned purges, passes, refusals;
    uint64_t purged, asked, freed, throttle_ns, cpu_ns;
    bool cannot_meet;
    bool at_limit; /* usage at the end was nine tenths of the hard limit or more */
    /* The highest usage without the free pages of this heap; and the limit under which that stays
     * below the soft limit. */
    uint64_t needed, needed_limit;
};

void report_judge(const struct flight *flight, struct verdict *ret);

enum { REPORT_NAME_MAX = 96 };
/* The process's command and pid. */
void report_name(const struct flight *flight, char *to, size_t size);
/* One sentence that says what happened; and what to do about it, a few lines of their own. */
void report_headline(const struct flight *flight, const struct verdict *v, char *to, size_t size);
enum { REPORT_ADVICE_MAX = 8, REPORT_LINE_MAX = 400 };
struct advice {
    unsigned count;
    char lines[REPORT_ADVICE_MAX][REPORT_LINE_MAX];
};
void report_advise(const struct flight *flight, const struct verdict *v, struct advice *ret);

/* Facts as label and text, in groups: the text and the page show the same ones. */
typedef void report_group_fn(void *arg, const char *title);
typedef void report_fact_fn(void *arg, const char *label, const char *text);
struct report_sink {
    report_group_fn *group;
    report_fact_fn *fact;
    void *arg;
};
void report_facts(const struct flight *flight, const struct verdict *v,
                  const struct report_sink *sink);

void report_print_text(const struct flight *flight, const struct verdict *v, FILE *to);
json_t *report_json(const struct flight *flight, const struct verdict *v);

enum report_plot { REPORT_PLOT_MEMORY, REPORT_PLOT_RECLAIM, REPORT_PLOT_COUNT };
/* gnuplot's input for one; false: there is nothing to draw. */
bool report_plot_script(const struct flight *flight, const struct verdict *v,
                        enum report_plot which, FILE *to);
/* SVG drawn by gnuplot, without a prologue; NULL where there is nothing to draw. */
struct report_plots {
    char *svg[REPORT_PLOT_COUNT];
};
/* 0, -ENOENT: no gnuplot, or -EIO: it failed. report_plots_free() in any case. */
int report_plots_draw(const struct flight *flight, const struct verdict *v,
                      struct report_plots *ret);
void report_plots_free(struct report_plots *plots);

/* A page that needs nothing but itself. plots NULL: the page says that they are missing. */
void report_print_html(const struct flight *flight, const struct verdict *v,
                       const struct report_plots *plots, FILE *to);

#endif
