/* The stats pages whose processes do not live here: evidence, and what cannot be judged. */
#ifndef PLIM_CMD_LEFT_BEHIND_H
#define PLIM_CMD_LEFT_BEHIND_H

#include "figures.h"

/* Prints a line for each kind of which there are some, and one for each dead process, the newest
 * first. */
void left_behind_print(const struct pages *pages);
/* Adds the same to a JSON object: "dead", "elsewhere" and "other_versions". */
void left_behind_json(const struct pages *pages, json_t *to);
/* What `one` tells of each process that lives, as an array "processes" in a new JSON object, with
 * the above. */
json_t *processes_json(const struct pages *pages, process_json_fn *one);

#endif
