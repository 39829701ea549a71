/* For tests of files: one that is made and removed. */
#ifndef PLIM_TEST_SYS_TEMP_H
#define PLIM_TEST_SYS_TEMP_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char temp[64];

static inline void temp_file(const char *text)
{
    snprintf(temp, sizeof(temp), "/tmp/plim-sys-XXXXXX");
    int fd = mkstemp(temp);
    cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

static inline void temp_remove(void)
{
    unlink(temp);
}

#endif
