/* Page cache on its way from a disk: what it needs room for, and whom it concerns. */
#include "governor_decide.h"

#include <criterion/criterion.h>

static struct governor_input beside_readers(uint64_t usage)
{
    struct governor_input in = input_at(100 * MiB, usage, MiB);
    in.on_the_way = 8 * MiB;
    return in;
}

/* A heap that only reuses the memory it has does not get in the way. */
Test(governor_read_ahead, what_is_on_its_way_takes_no_free_pages_and_raises_no_level)
{
    struct governor g = new_governor();
    struct governor_input in = beside_readers(80 * MiB);
    struct governor_decision d = look_at(&g, &in);
    cr_expect_eq(d.level, PLIM_NORMAL);
    cr_expect_eq(d.purge, 0u);
    cr_expect_eq(d.hold_ns, 0u);
    cr_expect_not(d.callbacks_due);
}

Test(governor_read_ahead, growth_waits_for_what_is_on_its_way)
{
    struct governor_input in = beside_readers(92 * MiB);
    in.dirty = 0;
    cr_expect_eq(hold(in), NS_PER_MS, "the kernel can drop it in a moment");
    in.reclaimers = 1;
    cr_expect_eq(hold(in), NS_PER_S, "and they give room as well");
    in.on_the_way = 0;
    in.reclaimers = 0;
    cr_expect_eq(hold(in), 0u);
}

/* What other threads take while reclaimers run needs the same room with page cache on its way as
 * without. */
Test(governor_read_ahead, reclaimers_give_back_by_what_is_on_its_way)
{
    struct governor g = new_governor();
    struct governor_input in = beside_readers(83 * MiB);
    in.reclaimers = 1;
    in.dirty = 0;
    struct governor_decision d = look_at(&g, &in);
    cr_expect(d.callbacks_due);
    cr_expect_eq(d.hold_ns, 0u);
    cr_expect_eq(governor_target(&g, &in, in.usage), 2 * MiB);
    in.usage = 88 * MiB;
    cr_expect_eq(hold(in), 300 * NS_PER_MS, "as from critical on");
    in.held = 1;
    in.listeners = true;
    cr_expect_eq(look_at(&g, &in).watch_after_ns, 20 * NS_PER_MS, "somebody waits for them");
    in.on_the_way = 0;
    cr_expect_not(look_at(&g, &in).callbacks_due);
    cr_expect_eq(hold(in), 0u);
}

/* Listeners to pressure in general are told only of memory that cannot be dropped. */
Test(governor_read_ahead, listeners_do_not_hear_of_what_is_on_its_way)
{
    struct governor g = new_governor();
    struct governor_input in = beside_readers(88 * MiB);
    in.dirty = 0;
    cr_expect_not(look_at(&g, &in).wanting);
    in.usage = 91 * MiB;
    cr_expect(look_at(&g, &in).wanting);
}

/* Page cache on its way still counts as room. */
Test(governor_read_ahead, nothing_is_refused_for_what_is_on_its_way)
{
    struct governor g = new_governor();
    struct governor_input in = beside_readers(94 * MiB);
    cr_expect_not(look_at(&g, &in).no_room);
    in.usage = 99 * MiB;
    in.dirty = 0;
    cr_expect(look_at(&g, &in).no_room);
}

Test(governor_read_ahead, what_is_on_its_way_brings_looks_and_ends_others_sooner)
{
    struct governor g = new_governor(), h = new_governor();
    struct governor_input in = beside_readers(88 * MiB), without = in;
    without.on_the_way = 0;
    cr_expect_lt(look_at(&g, &in).look_after, look_at(&h, &without).look_after);
    cr_expect_lt(governor_meanwhile(&in), governor_meanwhile(&without));
}
