/*
 * Feeds a reader of stats pages with any bytes: as a copy in memory, and as a file.
 * Built with clang's libFuzzer; run by tests/fuzz/run.
 */
#include "../../src/cmd/pages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* All that readers do with a page. */
static uint64_t use(const struct page_view *view)
{
    uint64_t sum = strlen(view->comm) + strlen(view->version) + strlen(view->cgroup_path);
    for (unsigned i = 0; i < PAGE_FIELD_COUNT; i++)
        sum += view->values[i];
    for (unsigned i = 0; i < page_sample_count(view); i++) {
        struct page_sample sample = page_sample_at(view, i);
        sum += page_unpack(sample.usage) + sample.events;
    }
    return sum + page_written_at(view) + (uint64_t)page_life(view);
}

static volatile uint64_t sink;

static void read_memory(const uint8_t *data, size_t len)
{
    struct page_view view;
    void *exact = malloc(len > 0 ? len : 1); /* so that one byte too far is seen */
    if (exact == NULL)
        return;
    if (len > 0)
        memcpy(exact, data, len);
    if (page_parse(exact, len, &view) == 0)
        sink += use(&view);
    free(exact);
}

static char path[256];

static void remove_file(void)
{
    (void)unlink(path);
}

static void read_file(const uint8_t *data, size_t len)
{
    static int fd = -1;
    struct process process;
    if (fd < 0) {
        const char *dir = getenv("TMPDIR");
        (void)snprintf(path, sizeof(path), "%s/fuzz_page_XXXXXX", dir != NULL ? dir : "/tmp");
        fd = mkstemp(path);
        (void)atexit(remove_file);
    }
    if (fd < 0 || ftruncate(fd, 0) < 0 || pwrite(fd, data, len, 0) != (ssize_t)len)
        return;
    for (int history = 0; history < 2; history++) {
        if (page_read(path, history != 0, &process) < 0)
            continue;
        sink += use(&process.view);
        page_free(&process);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    read_memory(data, len);
    read_file(data, len);
    return 0;
}
