/*
 * Preforked children that each run phases in what the parent's malloc left them, as servers do.
 *   fork_workers [--children 4] [--threads 2] [--live-mib 50, of each child] [--rounds 12]
 *                [--verify] [--parent-mib 8, held by the parent before it forks]
 * Prints ok=N, the number of children that came through. Exits 0 if all did.
 */
#include "workload.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILDREN_MAX = 64, BLOCK = 4000 };

/* Makes blocks that are written before the forks, and read after them in parent and children. */
static struct block *hold(size_t bytes)
{
    struct block *set = NULL;
    for (size_t held = 0, got; held < bytes; held += got) {
        struct block *block = block_new(BLOCK, &got);
        if (!block)
            die("malloc failed");
        block->next = set;
        set = block;
    }
    return set;
}

static void check(const struct block *set)
{
    for (; set; set = set->next) {
        if (!block_is_intact(set))
            die("damaged block in process %d", getpid());
    }
}

int main(int argc, char **argv)
{
    unsigned children = (unsigned)option_number(argc, argv, "children", 4);
    struct phases phases = {
        .threads = (unsigned)option_number(argc, argv, "threads", 2),
        .rounds = (unsigned)option_number(argc, argv, "rounds", 12),
        .live_bytes = (size_t)(option_number(argc, argv, "live-mib", 50) * 1048576),
        .verify = option_given(argc, argv, "verify"),
    };
    struct block *held = hold((size_t)(option_number(argc, argv, "parent-mib", 8) * 1048576));
    pid_t pids[CHILDREN_MAX];
    if (children > CHILDREN_MAX)
        die("at most %d children", CHILDREN_MAX);
    for (unsigned i = 0; i < children; i++) {
        pids[i] = fork();
        if (pids[i] < 0)
            die("fork failed");
        if (pids[i] == 0) {
            phases_run(&phases);
            check(held);
            _exit(0);
        }
    }
    unsigned ok = 0;
    for (unsigned i = 0; i < children; i++) {
        int status = -1;
        if (waitpid(pids[i], &status, 0) == pids[i] && status == 0)
            ok++;
    }
    check(held);
    printf("ok=%u\n", ok);
    return ok == children ? 0 : 1;
}
