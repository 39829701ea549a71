/* The layout of the stats page, filled and taken apart, see stats_page.h. */
#include "stats_page.h"

#include <errno.h>
#include <string.h>

/* Looks within this time are one sample: ordinary ones, and those that decided something. */
static const uint64_t look_span_ns = 250 * NS_PER_MS;
static const uint64_t event_span_ns = 125 * NS_PER_MS;

const struct page_field_info page_fields[PAGE_FIELD_COUNT] = {
#define X(id, field, of, is, meaning)                                                              \
    {.name = (field), .help = (meaning), .unit = (of), .kind = (is)},
    PAGE_FIELDS(X)
#undef X
};

const char *page_level_word(uint64_t level)
{
    static const char *const words[] = {"normal", "low", "medium", "critical"};
    return level < ARRAY_LEN(words) ? words[level] : "?";
}

void page_begin(struct page_header *header)
{
    memset(header, 0, sizeof(*header));
    header->major = PAGE_MAJOR;
    header->minor = PAGE_MINOR;
    header->header_size = sizeof(*header);
    header->total_size = sizeof(struct page);
    header->snapshot_at = offsetof(struct page, snapshot);
    header->mailbox_at = offsetof(struct page, mailbox);
    header->ring_at = offsetof(struct page, ring);
    header->sample_size = sizeof(struct page_sample);
    header->sample_count = PAGE_SAMPLES;
    header->field_count = PAGE_FIELD_COUNT;
}

void page_seal(struct page_header *header)
{
    atomic_thread_fence(memory_order_release);
    memcpy(header->magic, PAGE_MAGIC, sizeof(header->magic));
}

uint32_t page_pack(uint64_t bytes)
{
    uint64_t units = bytes / PAGE_SAMPLE_UNIT + (bytes % PAGE_SAMPLE_UNIT != 0);
    return units < UINT32_MAX ? (uint32_t)units : UINT32_MAX;
}

uint64_t page_unpack(uint32_t units)
{
    return units == UINT32_MAX ? UNLIMITED : (uint64_t)units * PAGE_SAMPLE_UNIT;
}

static void add_u32(uint32_t *to, uint32_t more)
{
    *to = more > UINT32_MAX - *to ? UINT32_MAX : *to + more;
}

static bool belongs_to(const struct page_sample *last, const struct page_sample *look)
{
    const uint8_t apart = PAGE_EVENT_LEVEL | PAGE_EVENT_MEETS;
    const uint8_t lasting = PAGE_EVENT_CANNOT; /* a state, not something done */
    bool decided = (look->events & ~lasting) != 0;
    bool was_decided = (last->events & ~lasting) != 0;
    if (look->level != last->level || (look->events & apart) != 0 || decided != was_decided ||
        ((look->events ^ last->events) & lasting) != 0 || last->looks == UINT16_MAX)
        return false;
    return look->at_ns - last->at_ns < (decided ? event_span_ns : look_span_ns);
}

static void add_look(struct page_sample *to, const struct page_sample *look)
{
    to->span_us = (uint32_t)((look->at_ns - to->at_ns) / 1000);
    if (look->usage >= to->usage) {
        to->usage = look->usage;
        to->committed = look->committed;
        to->active = look->active;
        to->dirty = look->dirty;
    }
    to->soft = look->soft;
    to->hard = look->hard;
    add_u32(&to->purged, look->purged);
    add_u32(&to->asked, look->asked);
    add_u32(&to->freed, look->freed);
    add_u32(&to->throttle_us, look->throttle_us);
    add_u32(&to->cpu_us, look->cpu_us);
    if (look->request > to->request)
        to->request = look->request;
    to->looks = (uint16_t)(to->looks + look->looks);
    to->events |= look->events;
}

void page_ring_add(struct page_sample *ring, _Atomic uint64_t *written,
                   const struct page_sample *look)
{
    uint64_t n = atomic_load_explicit(written, memory_order_relaxed);
    struct page_sample *last = &ring[(n - 1) & (PAGE_SAMPLES - 1)];
    if (n > 0 && belongs_to(last, look)) {
        add_look(last, look);
        return;
    }
    ring[n & (PAGE_SAMPLES - 1)] = *look;
    atomic_store_explicit(written, n + 1, memory_order_relaxed);
}

static void copy_text(char *to, const char *from, size_t size)
{
    memcpy(to, from, size);
    to[size - 1] = '\0';
}

static bool fits(uint32_t at, size_t size, size_t len)
{
    return at % 8 == 0 && at <= len && size <= len - at;
}

static bool header_is_sound(const struct page_header *h, size_t len)
{
    return memcmp(h->magic, PAGE_MAGIC, sizeof(h->magic)) == 0 && h->major == PAGE_MAJOR &&
           h->header_size >= sizeof(*h) && h->snapshot_at >= h->header_size &&
           fits(h->snapshot_at, sizeof(struct page_snapshot), len);
}

/* Sets the ring, if all of it is in the copy. */
static void view_ring(const char *copy, size_t len, const struct page_header *h,
                      struct page_view *ret)
{
    uint32_t n = h->sample_count;
    if (h->sample_size != sizeof(struct page_sample) || n == 0 || n > len || (n & (n - 1)) != 0 ||
        !fits(h->ring_at, (size_t)n * sizeof(struct page_sample), len))
        return;
    ret->ring = (const void *)(copy + h->ring_at);
    ret->ring_size = n;
}

bool page_is_unsealed(const void *copy, size_t len)
{
    static const char none[sizeof(((struct page_header *)0)->magic)];
    return len == 0 || (len >= sizeof(struct page_header) && memcmp(copy, none, sizeof(none)) == 0);
}

int page_parse(const void *copy, size_t len, struct page_view *ret)
{
    struct page_header h;
    struct page_snapshot s;
    if (len < sizeof(h))
        return -EBADMSG;
    memcpy(&h, copy, sizeof(h));
    if (!header_is_sound(&h, len))
        return -EBADMSG;
    memcpy((void *)&s, (const char *)copy + h.snapshot_at, sizeof(s));
    *ret = (struct page_view){
        .pid = h.pid,
        .start_time = h.start_time,
        .pid_namespace = h.pid_namespace,
        .image = h.image,
        .uid = h.uid,
        .created_ns = h.created_ns,
        .created_at = h.created_at,
        .limit_path_len = s.limit_path_len,
        .sequence = s.sequence,
        .known = h.field_count < PAGE_FIELD_COUNT ? h.field_count : PAGE_FIELD_COUNT,
        .written = s.written,
    };
    copy_text(ret->comm, h.comm, sizeof(ret->comm));
    copy_text(ret->version, h.version, sizeof(ret->version));
    copy_text(ret->cgroup_path, s.cgroup_path, sizeof(ret->cgroup_path));
    if (ret->limit_path_len > strlen(ret->cgroup_path))
        ret->limit_path_len = 0;
    for (unsigned i = 0; i < ret->known; i++)
        ret->values[i] = s.values[i];
    view_ring(copy, len, &h, ret);
    return 0;
}

unsigned page_sample_count(const struct page_view *view)
{
    if (view->ring == NULL)
        return 0;
    return (unsigned)u64_min(view->written, view->ring_size);
}

struct page_sample page_sample_at(const struct page_view *view, unsigned i)
{
    uint64_t first = view->written - page_sample_count(view);
    struct page_sample sample;
    memcpy(&sample, &view->ring[(first + i) & (view->ring_size - 1)], sizeof(sample));
    return sample;
}
