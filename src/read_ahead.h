/*
 * Page cache that the kernel cannot drop just now: pages that are being read from a device. A
 * reader has a whole read-ahead window of them on its way, and a group in which nothing else can be
 * dropped is short of memory then.
 */
#ifndef PLIM_READ_AHEAD_H
#define PLIM_READ_AHEAD_H

#include "base.h"

/* What Linux gives a device that asks for nothing else (VM_READAHEAD_PAGES). */
static const uint64_t read_ahead_default = 128 * KiB;

/* The largest window among the devices and file systems of this machine, in bytes, as
 * /sys/class/bdi has them (read_ahead_kb); the default at least. */
uint64_t read_ahead_largest(void);

#endif
