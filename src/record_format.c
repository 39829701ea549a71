/* What writer and reader of the flight record share, see record_format.h. */
#include "record_format.h"

#include "stats_page.h"

const struct record_map_info record_maps[RECORD_MAP_COUNT] = {
#define X(id, word, what) {.name = (word), .meaning = (what)},
    RECORD_MAPS(X)
#undef X
};

void record_sample_unpack(const struct page_sample *from, struct record_sample *ret)
{
#define X(name, unpack) ret->name = unpack(from->name);
    RECORD_SAMPLE(X)
#undef X
}
