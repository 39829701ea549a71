/*
 * How many CPUs and how much memory there are for this process.
 *
 * Read anew by the call that asks, when the last reading is old. sysconf(3) asks too, which signal
 * handlers may call: so nobody waits here for a lock, and nothing is read on a signal stack.
 */
#ifndef PLIM_CAPACITY_H
#define PLIM_CAPACITY_H

#include "limits.h"
#include "sys.h"

/* The CPUs of the start, and the first counts. Once, with nothing else running. */
void capacity_begin(void);
/* The counts anew: the options have changed. Call with the look lock held. */
void capacity_read(void);
/* One line where PLIMSOLL_LIMIT is more than there is. */
void capacity_complain(void);
/* Those that the first thread might use; read only once that is known. */
const struct cpu_mask *capacity_cpus_at_start(void);
/* min(affinity, quota) at present. Once configured; any thread, signal handlers too. */
unsigned capacity_cpus(void);
/* The same as last counted. */
unsigned capacity_known_cpus(void);
/* What PLIMSOLL_REPORT is to tell. Configures if nothing has; never waits; signal handlers too. */
bool capacity_reports_cpus(void);
/* false: nothing. UNLIMITED where the cgroup sets no bound. */
bool capacity_reports_memory(struct memory_size *ret);

#endif
