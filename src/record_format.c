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
    *ret = (struct record_sample){
        .at_ns = from->at_ns,
        .span_us = from->span_us,
        .usage = page_unpack(from->usage),
        .committed = page_unpack(from->committed),
        .active = page_unpack(from->active),
        .dirty = page_unpack(from->dirty),
        .soft = page_unpack(from->soft),
        .hard = page_unpack(from->hard),
        .purged = page_unpack(from->purged),
        .asked = page_unpack(from->asked),
        .freed = page_unpack(from->freed),
        .request = page_unpack(from->request),
        .throttle_us = from->throttle_us,
        .looks = from->looks,
        .level = from->level,
        .events = from->events,
        .cpu_us = from->cpu_us,
    };
}
