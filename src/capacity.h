/*
 * How many CPUs and how much memory this process may use.
 *
 * Read anew by the call that asks, when the last reading is old. Signal handlers may ask too, by
 * sysconf(3): so nobody waits for a lock here, and nothing is read on a signal stack.
 */
#ifndef PLIM_CAPACITY_H
#define PLIM_CAPACITY_H

#include "limits.h"
#include "sys.h"

/* Notes the CPUs at the start, and counts for the first time. Once, before there are other
 * threads. */
void capacity_begin(void);
/* Counts anew: the options have changed. Call with the look lock held. */
void capacity_read(void);
/* One line where PLIMSOLL_LIMIT is more than there is. */
void capacity_complain(void);
/* The CPUs that the first thread might use at the start; never changes afterwards. */
const struct cpu_mask *capacity_cpus_at_start(void);
/* min(affinity, quota) at present. Once configured; any thread, signal handlers too. */
unsigned capacity_cpus(void);
/* The same, as last counted. */
unsigned capacity_known_cpus(void);
/* Whether PLIMSOLL_REPORT changes what the program is told. Configures if nothing has; never waits;
 * signal handlers may call these. */
bool capacity_reports_cpus(void);
/* false: nothing. UNLIMITED where the cgroup sets no bound. */
bool capacity_reports_memory(struct memory_size *ret);

#endif
