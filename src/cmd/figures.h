/* What the figures of a stats page mean, for people and for programs. */
#ifndef PLIM_CMD_FIGURES_H
#define PLIM_CMD_FIGURES_H

#include "stats_pages.h"

#include <jansson.h>

/* Bytes from the usage to the hard limit; UNLIMITED where there is no limit. false: there is a
 * limit, but the usage is not known; UNLIMITED then too. */
bool figure_headroom(const struct page_view *view, uint64_t *ret);
/* The same as text; see words.h for how long the texts stay. */
const char *figure_headroom_text(const struct page_view *view);
/* How old the figures are, in nanoseconds. */
uint64_t figure_age(const struct page_view *view, uint64_t now_ns);
/* The figure as it is shown to readers. */
uint64_t figure_value(const struct page_view *view, enum page_field field, uint64_t now_ns);
/* Whether it is a usage, not a limit: there UNLIMITED means not known. */
bool figure_is_usage(enum page_field field);
/* "none", "cgroup", "machine", "process", or "?". */
const char *source_name(uint64_t source);

/* As words_bytes(), but "none" for no limit, and "?" for a usage that is not known. */
const char *figure_bytes(enum page_field field, uint64_t bytes);

typedef json_t *process_json_fn(const struct process *process, uint64_t now_ns);
/* All of it, as a new JSON object. */
process_json_fn process_json;

#endif
