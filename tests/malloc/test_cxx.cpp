/* C++ on top: operator new fails as the standard says, and every form of delete takes its block. */
#include <criterion/criterion.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <malloc.h>
#include <map>
#include <memory>
#include <memory_resource>
#include <new>
#include <string>
#include <sys/mman.h>
#include <sys/resource.h>
#include <thread>
#include <vector>

static volatile std::size_t impossible = PTRDIFF_MAX;
static const auto page = std::align_val_t(4096);

static bool aligned(void *p, std::align_val_t alignment)
{
    return (reinterpret_cast<std::uintptr_t>(p) & (static_cast<std::size_t>(alignment) - 1)) == 0;
}

template <typename F> static bool throws_bad_alloc(F f)
{
    try {
        f();
    } catch (const std::bad_alloc &) {
        return true;
    }
    return false;
}

Test(cxx, impossible_sizes_throw_bad_alloc)
{
    cr_expect(throws_bad_alloc([] { return operator new(impossible); }));
    cr_expect(throws_bad_alloc([] { return operator new[](impossible); }));
    cr_expect(throws_bad_alloc([] { return operator new(impossible, page); }));
    cr_expect(throws_bad_alloc([] { return operator new[](impossible, page); }));
}

/* Rounded up to the alignment, such a size would be 0. */
Test(cxx, sizes_near_the_end_of_all_are_impossible_too)
{
    static volatile std::size_t last = SIZE_MAX;
    cr_expect(throws_bad_alloc([] { return operator new(last, page); }));
    cr_expect(throws_bad_alloc([] { return operator new[](last - 10, page); }));
    cr_expect_null(operator new(last - 10, page, std::nothrow));
    cr_expect_null(operator new[](last, page, std::nothrow));
}

Test(cxx, containers_throw_and_go_on)
{
    for (int i = 0; i < 100; i++) {
        cr_assert(throws_bad_alloc([] { std::vector<char>(impossible - 8); }));
        std::vector<std::string> v(1000, std::string(100, 'x'));
        cr_assert_eq(v.back().size(), 100u);
    }
}

Test(cxx, nothrow_forms_return_null)
{
    cr_expect_null(operator new(impossible, std::nothrow));
    cr_expect_null(operator new[](impossible, std::nothrow));
    cr_expect_null(operator new(impossible, page, std::nothrow));
    cr_expect_null(operator new[](impossible, page, std::nothrow));
}

/* --- new-handlers --- */

static int handler_calls;

static void handler_that_ends()
{
    if (++handler_calls == 3)
        std::set_new_handler(nullptr);
}

template <typename F> static int calls_of_handler(F f)
{
    handler_calls = 0;
    std::set_new_handler(handler_that_ends);
    (void)throws_bad_alloc(f);
    std::set_new_handler(nullptr);
    return handler_calls;
}

Test(cxx, new_handler_is_called_until_there_is_none)
{
    cr_expect_eq(calls_of_handler([] { return operator new(impossible); }), 3);
    cr_expect_eq(calls_of_handler([] { return operator new[](impossible); }), 3);
    cr_expect_eq(calls_of_handler([] { return operator new(impossible, page); }), 3);
    cr_expect_eq(calls_of_handler([] { return operator new(impossible, std::nothrow); }), 3);
    cr_expect_eq(calls_of_handler([] { return operator new[](impossible, page, std::nothrow); }),
                 3);
}

struct other_error {
};

static void handler_that_throws()
{
    throw other_error();
}

struct more_special : std::bad_alloc {
};

static void handler_that_throws_bad_alloc()
{
    throw more_special();
}

Test(cxx, new_handler_may_throw_what_it_likes)
{
    bool caught = false;
    std::set_new_handler(handler_that_throws);
    try {
        (void)operator new(impossible);
    } catch (const other_error &) {
        caught = true;
    }
    cr_expect(caught);
}

Test(cxx, bad_alloc_from_a_handler_is_null_for_nothrow)
{
    std::set_new_handler(handler_that_throws_bad_alloc);
    cr_expect_null(operator new(impossible, std::nothrow));
    cr_expect_null(operator new[](impossible, page, std::nothrow));
    bool caught = false;
    try {
        (void)operator new(impossible);
    } catch (const more_special &) {
        caught = true;
    }
    cr_expect(caught);
}

static void *ballast;
static const std::size_t ballast_bytes = std::size_t(1) << 30;

static void handler_that_frees()
{
    handler_calls++;
    munmap(ballast, ballast_bytes);
    std::set_new_handler(nullptr);
}

Test(cxx, new_handler_may_make_room)
{
    ballast = mmap(nullptr, ballast_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(ballast, MAP_FAILED);
    /* The ballast and what is there now fill the address space but for 100 MiB. */
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    cr_assert(f != nullptr && fscanf(f, "%ld", &pages) == 1);
    fclose(f);
    rlim_t most = rlim_t(pages) * 4096 + (100 << 20);
    struct rlimit limit = {most, most};
    cr_assert_eq(setrlimit(RLIMIT_AS, &limit), 0);
    std::set_new_handler(handler_that_frees);
    char *p = static_cast<char *>(operator new(300 << 20));
    cr_expect_not_null(p);
    cr_expect_eq(handler_calls, 1);
    p[0] = p[(300 << 20) - 1] = 'x';
    operator delete(p, std::size_t(300) << 20);
}

/* --- forms of new and delete --- */

Test(cxx, every_new_has_its_delete)
{
    std::size_t before = mallinfo2().uordblks;
    for (int i = 0; i < 300; i++)
        for (std::size_t n : {std::size_t(0), std::size_t(1), std::size_t(100), std::size_t(5000),
                              std::size_t(100000), std::size_t(3) << 20}) {
            operator delete(operator new(n));
            operator delete(operator new(n), n);
            operator delete(operator new(n, std::nothrow), std::nothrow);
            operator delete[](operator new[](n));
            operator delete[](operator new[](n), n);
            operator delete[](operator new[](n, std::nothrow), std::nothrow);
            operator delete(operator new(n, page), page);
            operator delete(operator new(n, page), n, page);
            operator delete(operator new(n, page, std::nothrow), page, std::nothrow);
            operator delete[](operator new[](n, page), page);
            operator delete[](operator new[](n, page), n, page);
            operator delete[](operator new[](n, page, std::nothrow), page, std::nothrow);
        }
    cr_expect_lt(mallinfo2().uordblks, before + (20 << 20), "nothing leaks");
}

Test(cxx, null_is_deleted_by_every_form)
{
    operator delete(nullptr);
    operator delete(nullptr, std::size_t(8));
    operator delete(nullptr, std::nothrow);
    operator delete(nullptr, page);
    operator delete(nullptr, std::size_t(8), page);
    operator delete(nullptr, page, std::nothrow);
    operator delete[](nullptr);
    operator delete[](nullptr, std::size_t(8));
    operator delete[](nullptr, std::nothrow);
    operator delete[](nullptr, page);
    operator delete[](nullptr, std::size_t(8), page);
    operator delete[](nullptr, page, std::nothrow);
}

Test(cxx, alignment_is_kept_for_every_size)
{
    for (std::size_t a = 1; a <= (std::size_t(4) << 20); a *= 2)
        for (std::size_t n : {0, 1, 8, 24, 1000, 70000}) {
            auto alignment = std::align_val_t(a);
            void *p = operator new(n, alignment), *q = operator new[](n, alignment, std::nothrow);
            cr_assert(aligned(p, alignment) && aligned(q, alignment), "%zu bytes at %zu", n, a);
            std::memset(p, 1, n);
            std::memset(q, 1, n);
            operator delete(p, n, alignment);
            operator delete[](q, n, alignment);
        }
}

/* The block that was deleted last is given out next for its own size, and for no other; except
 * large ones, whose pages serve any size. */
Test(cxx, nothing_of_any_alignment_goes_back_to_where_it_came_from)
{
    for (std::size_t a = 16; a <= 4096; a *= 2) {
        auto alignment = std::align_val_t(a);
        void *p = operator new(0, alignment);
        std::size_t size = malloc_usable_size(p);
        operator delete(p, std::size_t(0), alignment);
        for (std::size_t n = 1; n <= size / 2; n *= 2) {
            void *q = std::malloc(n);
            cr_expect_neq(p, q, "%zu bytes lie where a block of %zu was", n, size);
            std::free(q);
        }
        void *q = operator new[](0, alignment);
        cr_expect(aligned(q, alignment));
        operator delete[](q, std::size_t(0), alignment);
    }
}

struct alignas(256) overaligned {
    char bytes[300];
};

Test(cxx, types_with_large_alignment_work)
{
    for (int i = 0; i < 1000; i++) {
        auto one = std::make_unique<overaligned>();
        auto many = std::make_unique<overaligned[]>(std::size_t(i % 50 + 1));
        cr_assert(aligned(one.get(), std::align_val_t(256)));
        cr_assert(aligned(&many[0], std::align_val_t(256)));
    }
}

/* Pools ask for chunks with an alignment and give them back with size and alignment. */
Test(cxx, memory_resources_take_and_give_back_what_they_use)
{
    std::size_t before = mallinfo2().uordblks;
    for (int round = 0; round < 20; round++) {
        std::pmr::synchronized_pool_resource pool(std::pmr::new_delete_resource());
        std::pmr::monotonic_buffer_resource steps(4000, &pool);
        std::pmr::map<int, std::pmr::string> map(&pool);
        std::pmr::vector<overaligned> many(&steps);
        for (int i = 0; i < 3000; i++) {
            map[i % 700].assign(std::size_t(i % 300), char('a' + i % 26));
            many.emplace_back();
            if (i % 3 == 0)
                map.erase(i % 500);
        }
        for (const auto &[key, text] : map)
            cr_assert_eq(text.find_first_not_of(text[0]), std::string::npos, "key %d", key);
        for (overaligned &one : many)
            cr_assert(aligned(&one, std::align_val_t(256)));
        void *large = pool.allocate(100000, 4096);
        cr_assert(aligned(large, page));
        pool.deallocate(large, 100000, 4096);
    }
    cr_assert_leq(mallinfo2().uordblks, before + (std::size_t(1) << 20));
}

Test(cxx, new_and_malloc_are_one_heap)
{
    operator delete(std::malloc(1000));
    std::free(operator new(1000));
    std::free(operator new(1000, page));
}

Test(cxx, containers_work_on_many_threads)
{
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++)
        threads.emplace_back([t] {
            std::map<int, std::string> m;
            for (int i = 0; i < 20000; i++)
                m[i * 7919 % 3000] = std::string(std::size_t(i % 200), char('a' + t));
            for (auto &entry : m)
                if (!entry.second.empty() && entry.second[0] != 'a' + t)
                    std::abort();
        });
    for (auto &thread : threads)
        thread.join();
}
