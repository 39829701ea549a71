/*
 * Feeds a reader of stats pages with any bytes: as a copy in memory, and as a file.
 * Built with clang's libFuzzer; run by tests/fuzz/run.
 */
#include "../../src/cmd/stats_pages_internal.h"

#include <fcntl.h>
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

/* The name that a file of these bytes should have. */
static struct page_name read_memory(const uint8_t *data, size_t len)
{
    struct page_name name = {.pid = 1};
    struct page_view view;
    void *exact = malloc(len > 0 ? len : 1); /* so that one byte too far is seen */
    if (exact == NULL)
        return name;
    if (len > 0)
        memcpy(exact, data, len);
    if (page_parse(exact, len, &view) == 0) {
        sink += use(&view);
        name = (struct page_name){.pid = view.pid, .start_time = view.start_time};
    }
    free(exact);
    return name;
}

static char path[256];

static void remove_directory(void)
{
    (void)rmdir(path);
}

static int directory(void)
{
    static int dir = -1;
    const char *in = getenv("TMPDIR");
    if (dir >= 0)
        return dir;
    (void)snprintf(path, sizeof(path), "%s/fuzz_page_XXXXXX", in != NULL ? in : "/tmp");
    if (mkdtemp(path) == NULL)
        abort();
    (void)atexit(remove_directory);
    dir = open(path, O_RDONLY | O_DIRECTORY);
    return dir;
}

static void read_file(const struct page_name *name, const uint8_t *data, size_t len)
{
    struct process process;
    char text[PAGE_NAME_MAX];
    page_name_print(name, text);
    int fd = openat(directory(), text, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (fd < 0 || write(fd, data, len) != (ssize_t)len)
        abort();
    (void)close(fd);
    for (int history = 0; history < 2; history++) {
        if (process_read(directory(), name, history != 0, &process) < 0)
            continue;
        sink += use(&process.view);
        process_free(&process);
    }
    (void)unlinkat(directory(), text, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct page_name name = read_memory(data, len);
    read_file(&name, data, len);
    return 0;
}
