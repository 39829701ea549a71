/*
 * Feeds any tree of files to what the library reads of /proc and its cgroup while it works: the
 * usage of the limit that binds, and the memory map for a flight record. Built with clang's
 * libFuzzer; run by tests/fuzz/run.
 */
#include "../../src/stats_page_file.h"
#include "../../src/record_internal.h"
#include "../../src/usage.h"

#include "fake_files.h"
#include "input.h"

#include <string.h>

static void read_usage(uint32_t choice)
{
    static struct usage u;
    struct options options;
    struct usage_sample s;
    memset(&u, 0, sizeof(u));
    options_parse(NULL, &options, NULL, NULL);
    options.wish.kind = (enum limit_kind)(choice % 3);
    options.wish.value = options.wish.kind == LIMIT_PERCENT ? 90000 : 64 * MiB;
    usage_init(&u, &options.wish);
    for (unsigned look = 0; look < 3; look++) {
        usage_read(&u, look * MiB, choice, look != 1, &s);
        hold(u.level_count <= USAGE_LEVELS && u.binding < USAGE_LEVELS);
        hold(s.limits.source != LIMITS_CGROUP || u.binding < u.level_count);
        hold(s.limits.source == LIMITS_NONE || s.limits.hard != UNLIMITED);
        if (look == 0)
            usage_set_wish(&u, &(struct limit_wish){LIMIT_BYTES, 32 * MiB, PROFILE_BALANCED});
        else
            usage_refresh(&u);
    }
    usage_close_files(&u);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct record_scratch scratch;
    struct record_resident resident;
    struct record_map_sum sums[RECORD_MAP_COUNT];
    uint64_t start;
    fake_begin(data, len);
    (void)record_resident(&scratch, &resident);
    (void)record_smaps(&scratch, UINT64_MAX, sums);
    (void)page_start_time(1, &start);
    (void)page_image(1);
    read_usage((uint32_t)len);
    fake_end();
    return 0;
}
