/* plimsoll.hpp: registers, calls, moves and unregisters; no exception gets out. A pass is asked for
 * by reclaim(), which needs no pressure. */
#include <plimsoll.hpp>

#include <criterion/criterion.h>
#include <atomic>
#include <chrono>
#include <cstring>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>

using plimsoll::reclaimer;

static const std::uint64_t much = std::uint64_t(1) << 40; /* no purge gives that */

/* A call gives up after a second, and the machine may be slow. */
template <typename Condition> static void ask_until(Condition holds)
{
    auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    do
        plimsoll::reclaim(much);
    while (!holds() && std::chrono::steady_clock::now() < end);
}

static_assert(!std::is_copy_constructible<reclaimer>::value, "one owner");
static_assert(!std::is_copy_assignable<reclaimer>::value, "one owner");
static_assert(std::is_nothrow_move_constructible<reclaimer>::value, "for containers");
static_assert(std::is_nothrow_move_assignable<reclaimer>::value, "for containers");
static_assert(std::is_nothrow_default_constructible<reclaimer>::value, "for members");

static reclaimer counting(std::atomic<int> &calls)
{
    return reclaimer("counting", [&calls](const plim_pressure &) -> std::size_t {
        calls++;
        return 0;
    });
}

Test(wrapper, the_callback_is_called_with_what_is_asked)
{
    std::atomic<std::uint64_t> target(0);
    reclaimer r("mine", [&target](const plim_pressure &p) {
        target = p.target;
        return std::size_t(1);
    });
    cr_assert(static_cast<bool>(r), "%s", std::strerror(r.error()));
    cr_expect(r.error() == 0);
    ask_until([&] { return target > 0; });
    cr_expect(target > much / 2);
}

Test(wrapper, it_is_not_called_after_the_object_is_gone)
{
    std::atomic<int> calls(0);
    {
        reclaimer r = counting(calls);
        ask_until([&] { return calls > 0; });
        cr_assert(calls > 0);
    }
    int then = calls;
    plimsoll::reclaim(much);
    cr_expect(calls == then);
}

Test(wrapper, a_moved_one_is_still_called_and_the_old_one_is_empty)
{
    std::atomic<int> calls(0);
    reclaimer first = counting(calls);
    reclaimer second(std::move(first));
    cr_expect(!first && first.error() == ENOSYS && first.exceptions() == 0);
    ask_until([&] { return calls > 0; });
    cr_expect(second && calls > 0);
    int then = calls;
    first.reset(); /* has no part in it any more */
    ask_until([&] { return calls > then; });
    cr_expect(calls > then);
}

Test(wrapper, assigning_ends_what_was_there)
{
    std::atomic<int> old_calls(0), new_calls(0);
    reclaimer r = counting(old_calls);
    r = counting(new_calls);
    ask_until([&] { return new_calls > 0; });
    cr_expect(old_calls == 0 && new_calls > 0);
    reclaimer &same = r;
    r = std::move(same);
    cr_expect(static_cast<bool>(r));
}

Test(wrapper, an_exception_stays_inside_and_is_counted)
{
    std::atomic<int> calls(0);
    reclaimer thrower("thrower", [](const plim_pressure &) -> std::size_t {
        throw std::runtime_error("on purpose");
    });
    reclaimer odd_thrower("odd thrower", [](const plim_pressure &) -> std::size_t { throw 1; });
    reclaimer next = counting(calls);
    ask_until([&] { return calls > 0; });
    cr_expect(thrower.exceptions() > 0 && odd_thrower.exceptions() > 0);
    cr_expect(next.exceptions() == 0 && calls > 0);
}

Test(wrapper, a_callback_may_end_itself)
{
    std::atomic<int> calls(0);
    std::string seen, captured(1000, 'c');
    reclaimer r;
    r = reclaimer("once", [&r, &calls, &seen, captured](const plim_pressure &) -> std::size_t {
        r.reset();
        seen = captured; /* what it captured is still there */
        calls++;
        return 0;
    });
    ask_until([&] { return calls > 0; });
    plimsoll::reclaim(much);
    cr_expect(calls == 1 && seen == std::string(1000, 'c') && !r);
}

Test(wrapper, the_destructor_waits_for_a_call_that_runs)
{
    std::atomic<bool> running(false), go_on(false), ended(false), gone(false);
    std::unique_ptr<reclaimer> r(new reclaimer("slow", [&](const plim_pressure &) -> std::size_t {
        running = true;
        while (!go_on)
            std::this_thread::yield();
        ended = true;
        return 0;
    }));
    std::thread asking([] { plimsoll::reclaim(much); });
    while (!running)
        std::this_thread::yield();
    std::atomic<bool> ended_first(false);
    std::thread ending([&] {
        r.reset();
        ended_first = ended.load();
        gone = true;
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(50)); /* a chance to be wrong */
    cr_expect(!gone);
    go_on = true;
    ending.join();
    asking.join();
    cr_expect(ended_first);
}

Test(wrapper, what_was_captured_goes_with_the_object)
{
    std::shared_ptr<int> shared = std::make_shared<int>(1);
    {
        reclaimer r("holder", [shared](const plim_pressure &) { return std::size_t(*shared); });
        cr_expect(shared.use_count() > 1);
    }
    cr_expect(shared.use_count() == 1);
}

Test(wrapper, what_cannot_be_registered_says_why)
{
    reclaimer none, empty("empty", reclaimer::function());
    reclaimer bad(
        "bad level", [](const plim_pressure &) { return std::size_t(0); },
        static_cast<enum plim_level>(9));
    cr_expect(!none && none.error() == ENOSYS);
    cr_expect(!empty && empty.error() == EINVAL);
    cr_expect(!bad && bad.error() == EINVAL);
}

Test(wrapper, the_plain_calls_say_what_the_library_says)
{
    cr_expect(plimsoll::present());
    cr_expect(plimsoll::level() == plim_level());
    cr_expect(plimsoll::cpus() == plim_cpus());
}
