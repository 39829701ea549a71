/* Cases of glibc_like that are in another file. Each reports by expect() what is wrong. */
#ifndef PLIM_GLIBC_LIKE_H
#define PLIM_GLIBC_LIKE_H

#include <stdbool.h>
#include <stddef.h>

/* Notes the first thing that is wrong. Returns good. */
bool expect(bool good, const char *what);
/* 1, a factor that the compiler does not know. */
extern volatile size_t opaque;

void fork_in_signal_handler(void);
void fork_among_threads(void);
void threads_come_and_go(void);
void address_space_used_up(void);

#endif
