/*
 * plimsoll.hpp - plimsoll.h for C++11 and later: callbacks as objects, nothing to link.
 *
 *   plimsoll::reclaimer reclaimer("cache", [&](const plim_pressure &p) {
 *       return cache.shrink(p.target);
 *   });
 *
 * If PLIM_OPTIONAL is defined before the include, everything here also works where the library is
 * absent: then level() is PLIM_NORMAL, cpus() is what the standard library says, and a reclaimer is
 * never called. Nothing here throws unless its comment says so. See plimsoll.h for what the calls
 * do.
 */
#ifndef PLIMSOLL_HPP
#define PLIMSOLL_HPP

/* In C++ a struct and a function of the same name share one scope, as with stat(2). */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#include <plimsoll.h>
#pragma GCC diagnostic pop

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <utility>

#if defined(__cpp_exceptions) || defined(__EXCEPTIONS)
#define PLIM_TRY       try
#define PLIM_CATCH_ALL catch (...)
#else
#define PLIM_TRY       if (true)
#define PLIM_CATCH_ALL else
#endif

namespace plimsoll
{

/* Whether the library is there: linked or preloaded. */
inline bool present() noexcept
{
    return plim_present() != 0;
}

inline enum plim_level level() noexcept
{
    return present() ? plim_level() : PLIM_NORMAL;
}

/* For sizing pools of threads. At least 1. */
inline unsigned cpus() noexcept
{
    if (present())
        return plim_cpus();
    unsigned n = std::thread::hardware_concurrency();
    return n > 0 ? n : 1;
}

/* Bytes given back to the kernel. */
inline std::uint64_t reclaim(std::uint64_t bytes) noexcept
{
    return present() ? plim_reclaim(bytes) : 0;
}

/*
 * A callback that is registered for as long as the object lives.
 *
 * The callback runs on the library's watcher thread: lock what it shares with other threads. Once
 * the destructor, reset() or an assignment has returned, the callback does not run and will not run
 * again. They wait for a running call, so do not call them while holding a lock that the callback
 * takes. Called from inside the callback itself they do not wait, and what the callback captured
 * lives until it returns. Declare the object after what the callback uses, so that it goes first.
 *
 * An exception of the callback ends in here, as the library is C. Such a call counts as one that
 * freed nothing, and in exceptions().
 *
 * Objects can be moved, even while calls run, but as with any object no two threads may use one at
 * the same time.
 */
class reclaimer
{
  public:
    /* Returns the bytes that it let go; p.target says how many are wanted. */
    using function = std::function<std::size_t(const plim_pressure &p)>;

    /* Not registered. */
    reclaimer() noexcept = default;

    /* Registers it, or leaves the reason in error(). name is copied. Throws std::bad_alloc, or
     * what copying the callback throws. */
    reclaimer(const char *name, function callback, enum plim_level from = PLIM_MEDIUM)
        : state_(std::make_shared<state>(std::move(callback)))
    {
        if (!state_->callback)
            id_ = -EINVAL;
        else if (present())
            id_ = plim_reclaimer_add(name, &reclaimer::call, state_.get(), from);
    }

    ~reclaimer() { reset(); }

    reclaimer(const reclaimer &) = delete;
    reclaimer &operator=(const reclaimer &) = delete;

    reclaimer(reclaimer &&other) noexcept : state_(std::move(other.state_)), id_(other.id_)
    {
        other.id_ = -ENOSYS;
    }

    reclaimer &operator=(reclaimer &&other) noexcept
    {
        if (this != &other) {
            reset();
            state_ = std::move(other.state_);
            id_ = other.id_;
            other.id_ = -ENOSYS;
        }
        return *this;
    }

    /* Registered. */
    explicit operator bool() const noexcept { return id_ >= 0; }

    /* 0 when registered, else a positive errno value: ENOSYS (no library, or nothing to register),
     * ENOTSUP (PLIMSOLL_THREAD=off), ENOSPC (too many), EINVAL (empty callback, bad level). */
    int error() const noexcept { return id_ >= 0 ? 0 : -id_; }

    /* How many calls ended by an exception. */
    unsigned long exceptions() const noexcept
    {
        return state_ ? state_->exceptions.load(std::memory_order_relaxed) : 0;
    }

    /* Unregisters it and lets go of the callback. */
    void reset() noexcept
    {
        if (id_ >= 0)
            (void)plim_reclaimer_remove(id_);
        id_ = -ENOSYS;
        state_.reset();
    }

  private:
    /* Where the library finds the callback: it stays there when the reclaimer is moved. */
    struct state : std::enable_shared_from_this<state> {
        explicit state(function f) : callback(std::move(f)) {}

        const function callback;
        std::atomic<unsigned long> exceptions{0};
    };

    static std::size_t call(const plim_pressure *p, void *arg) noexcept
    {
        /* Keeps the state alive if the callback itself ends the reclaimer. Nobody else can end it
         * now: they wait for this call. */
        const std::shared_ptr<state> own = static_cast<state *>(arg)->shared_from_this();
        PLIM_TRY
        {
            return own->callback(*p);
        }
        PLIM_CATCH_ALL
        {
            own->exceptions.fetch_add(1, std::memory_order_relaxed);
        }
        return 0;
    }

    std::shared_ptr<state> state_;
    int id_ = -ENOSYS;
};

} /* namespace plimsoll */

#undef PLIM_TRY
#undef PLIM_CATCH_ALL

#endif
