/*
 * One large request on top of memory already held.
 *   big_request [--fill-mib 100] [--ask-mib 200] [--touch]
 * Prints refused=1 enomem=1 or refused=0 for the large request, then small_ok=1 when small ones are
 * still served, and ok=1 at the end. With --touch it writes to what it was given.
 */
#include "workload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILL_BLOCK = 32768, SMALL_BLOCKS = 1000 };

/* Hidden from the compiler, which may leave out a malloc whose block it sees freed. */
static char *volatile big;

int main(int argc, char **argv)
{
    size_t fill = (size_t)(option_number(argc, argv, "fill-mib", 100) * 1048576);
    size_t ask = (size_t)(option_number(argc, argv, "ask-mib", 200) * 1048576);
    setlinebuf(stdout);
    for (size_t held = 0, got; held < fill; held += got) {
        if (!block_new(FILL_BLOCK, &got))
            die("refused while filling, at %zu MiB", held >> 20);
    }
    printf("filled=1\n");
    errno = 0;
    big = malloc(ask);
    printf("refused=%d enomem=%d\n", big == NULL, errno == ENOMEM);
    if (big && option_given(argc, argv, "touch"))
        memset(big, 1, ask);
    int served = 0;
    for (int i = 0; i < SMALL_BLOCKS; i++) {
        size_t got;
        served += block_new(100, &got) != NULL;
    }
    printf("small_ok=%d\nok=1\n", served == SMALL_BLOCKS);
    free(big);
    return 0;
}
