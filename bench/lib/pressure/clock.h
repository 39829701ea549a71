/* The monotonic clock in nanoseconds: the same for all processes. */
#ifndef PRESSURE_CLOCK_H
#define PRESSURE_CLOCK_H

#include <stdint.h>
#include <time.h>

static const uint64_t second_ns = 1000000000;

static inline uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * second_ns + (uint64_t)ts.tv_nsec;
}

#endif
